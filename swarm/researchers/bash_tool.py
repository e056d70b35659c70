"""The tool `bash`: one command in a fresh sandbox, with a working directory that stays.

    Bash(hands, most=16_000).run(12, "python3 try.py", 120)  -> Shown(text, is_error)

All that must last lies in the agent's own $HOME and is read and written by a script inside the sandbox only: the working
directory in $HOME/.cwd, the whole output of command 12 in $HOME/outputs/00012.txt. What comes back is a claim of the code
inside; here it is cut to size once more.
"""

from __future__ import annotations

import shlex
import signal
from dataclasses import dataclass
from typing import Any

from state.errors import UserError
from swarm.researchers import Hands, Outcome
from swarm.researchers.conversation import cut_middle

LEAST_SECONDS, USUAL_SECONDS, MOST_SECONDS = 1, 120, 3600
KEPT_OUTPUTS, FEW_OUTPUTS = 200, 14
MOST_MIB, MOST_MIB_EACH = 64, 4
"""Of outputs in $HOME, in all and each."""
MOST_COMMAND = 200_000
"""Characters."""

DEFINITION: dict[str, Any] = {
    "name": "bash",
    "description": (
        "Run a bash command in your sandbox. The working directory stays from one command to the next; variables do not, and what "
        "is still running when the command ends is killed (heavy or long work: `aar job`). There is no input and no terminal. A long "
        "output is shown with its middle cut out; the whole is in $HOME/outputs."
    ),
    "input_schema": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "for bash; several lines are fine"},
            "seconds": {"type": "integer", "minimum": LEAST_SECONDS, "maximum": MOST_SECONDS, "description": f"time limit, {USUAL_SECONDS} if not said"},
        },
        "required": ["command"],
    },
}

_SHOW = """
file=$HOME/outputs/$number.txt
size=$(stat -c %s -- "$file" 2>/dev/null) || size=0
if [ "$size" -le "$most" ]; then [ "$size" = 0 ] || cat -- "$file"; else
  head -c "$((most / 2))" -- "$file"
  printf '\\n[... %s bytes cut out here; the whole: $HOME/outputs/%s.txt ...]\\n' "$((size - most))" "$number"
  tail -c "$((most / 2))" -- "$file"
fi
"""
# The command runs in a subshell of the script, so that there is no limit to its length; `exit` and errors end only that. All on
# one line, for bash counts the lines of the command from the line of `eval`. Whoever made $HOME/outputs a file gets it back.
_RUN = "; ".join(
    [
        "__aar_command=$(cat)",
        '[ -d "$HOME/outputs" ] || { rm -f -- "$HOME/outputs"; mkdir -p -- "$HOME/outputs"; } || exit',
        "exec 2>/dev/null",
        '( cd -- "$(cat "$HOME/.cwd" 2>/dev/null || pwd)" 2>/dev/null || echo "(the working directory is gone; this is $PWD)"',
        'trap "{ pwd >${HOME@Q}/.cwd; } 2>/dev/null" EXIT',  # wherever HOME points when it ends
        "unset number most each mib oldest few",
        'eval "$__aar_command" ) </dev/null >"$HOME/outputs/$number.txt" 2>&1',
    ]
)
_KEEP = """
code=$?
file=$HOME/outputs/$number.txt
if [ "$(stat -c %s -- "$file")" -gt "$((2 * each))" ]; then
  { head -c "$each" -- "$file"; printf '\\n[... the middle was too long to be kept ...]\\n'; tail -c "$each" -- "$file"; } >"$file.cut" && mv -f -- "$file.cut" "$file"
fi
"""
_PRUNE = """
[ "$(du -sm -- "$HOME/outputs" | cut -f1)" -le "$mib" ] || oldest=$few
for old in "$HOME"/outputs/*; do [[ ${old##*/} < $oldest ]] && rm -rf -- "$old"; done
"""


@dataclass(frozen=True)
class Shown:
    """What the model is shown of a command."""

    text: str
    is_error: bool = False


def read_input(given: Any) -> tuple[str, int]:
    """(command, seconds). UserError says what is wrong with it, in words for the model."""
    if not isinstance(given, dict) or not isinstance(given.get("command"), str) or not given["command"].strip():
        raise UserError("bash needs `command`, a text that is not empty")
    if len(given["command"]) > MOST_COMMAND:
        raise UserError(f"the command has more than {MOST_COMMAND} characters: write it in smaller pieces")
    seconds = given.get("seconds", USUAL_SECONDS)
    if isinstance(seconds, str) and seconds.strip().isdigit():
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise UserError(f"`seconds` is a number from {LEAST_SECONDS} to {MOST_SECONDS}")
    return given["command"], int(seconds)


class Bash:
    """`most`: characters of output that are shown."""

    def __init__(self, hands: Hands, most: int = 16_000):
        self.hands, self.most = hands, most

    def run(self, number: int, command: str, seconds: int) -> Shown:
        """UserError where no sandbox can be started."""
        values = {
            "number": name_of(number), "most": str(self.most), "each": str(MOST_MIB_EACH << 19), "mib": str(MOST_MIB),
            "oldest": name_of(number - KEPT_OUTPUTS + 1), "few": name_of(number - FEW_OUTPUTS + 1),
        }  # fmt: skip
        head = "; ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
        script = "\n".join([f"{head}; {_RUN}", _KEEP, _SHOW, _PRUNE if number % 10 == 0 else "", 'exit "$code"'])
        outcome = self.hands.sh(script, command, seconds)
        if outcome.ended is None:
            return self._shown(outcome.output, self._end(outcome.code), False)
        # The script was killed with the command: what there was is in the file.
        rest = self.hands.sh(head + "\n" + _SHOW, "", 10.0)
        return self._shown(rest.output, f"ended: {self._limit(outcome, seconds)}", True)

    def _shown(self, output: str, end: str, is_error: bool) -> Shown:
        output = cut_middle(output.replace("\0", ""), self.most + 500, "cut").rstrip("\n")
        return Shown("\n".join(filter(None, [output or "(no output)", f"[{end}]" if end else ""])), is_error)

    def _end(self, code: int) -> str:
        if code == 128 + signal.SIGXFSZ:
            return f"exit code {code}: killed, for a file (or the output) grew beyond {self.hands.box.limits.file_mib} MiB"
        if 128 < code < 128 + signal.NSIG and code - 128 in set(signal.Signals):
            return f"exit code {code}: killed by {signal.Signals(code - 128).name}"
        return f"exit code {code}" if code else ""

    def _limit(self, outcome: Outcome, seconds: int) -> str:
        limits = self.hands.box.limits
        match outcome.ended:
            case "timeout":
                return f"the time limit of {seconds} s (ask for more with `seconds`, or use `aar job`)"
            case "memory":
                return f"it took more than {limits.memory_mib} MiB of memory (a job has more: `aar job`)"
            case "disk":
                return f"your files take more than {limits.disk_mib} MiB: remove some, in $HOME or in the worktree"
            case "processes":
                return f"more than {limits.processes} processes at once"
            case "output":
                return "it wrote too much"
            case other:
                return f"by the sandbox ({other})"


def name_of(number: int) -> str:
    """The name of an output: file names sort like numbers."""
    return f"{max(0, number):05d}"
