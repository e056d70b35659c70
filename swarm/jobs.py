"""Heavy commands of the agents (`aar job`): each in a sandbox of its own, in a slot, one at a time for an agent.

    run(agent, command, ...)     somebody waits for it and reads its output as it comes
    begin(agent, command, ...)   nobody waits: its output goes to $HOME/jobs/j0001.txt, written by the job's own sandbox

What became of each is kept in RUN/AGENT/jobs.jsonl. Jobs that an operator took down with it are lost, and listed as that.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace

from eval.client import Slots
from sandbox.box import start
from state.errors import UserError
from state.files import append_jsonl, read_jsonl, utc_now
from state.paths import RunPaths
from swarm.boxes import agent_box
from swarm.post_text import one_line

MOST_QUEUED = 4
"""Jobs of one agent that wait behind the one that runs."""
MOST_LISTED = 30
INTO_FILE = 'mkdir -p "$HOME/jobs" && exec "$@" > "$HOME/jobs/$0.txt" 2>&1'
"""The trusted side never opens the file: whatever stands at that path, only the agent's own sandbox follows it."""


@dataclass
class Job:
    """`state`: queued, running, ended, lost. `ended`: the limit or the reason that ended it; None where it ended by itself."""

    job: str
    command: str
    background: bool
    state: str = "queued"
    returncode: int | None = None
    ended: str | None = None
    seconds: float | None = None
    slot: str | None = None
    time: str = field(default_factory=utc_now)

    @property
    def is_over(self) -> bool:
        return self.state in ("ended", "lost")

    def words(self) -> str:
        """What became of it, on a line."""
        if self.state == "lost":
            about = "lost: the run was stopped meanwhile"
        elif self.state == "ended":
            about = f"ended by {self.ended}" if self.ended else f"exit code {self.returncode}"
            about += f" after {self.seconds:.1f} s" if self.seconds is not None else ""
        else:
            about = self.state
        where = f", output in $HOME/jobs/{self.job}.txt" if self.background else ""
        return f"{self.job} {about}: {self.command}{where}"


class Jobs:
    """The jobs of all agents of a run. Thread-safe. `stop`: set when the run stops, which ends them all."""

    def __init__(self, paths: RunPaths, config: dict, slots: Slots, stop: threading.Event):
        self.paths, self.config, self.slots, self.stop = paths, config, slots, stop
        self._changed = threading.Condition(threading.RLock())
        self._all: dict[str, list[Job]] = {}
        self._over: dict[str, list[Job]] = {}
        self._line: dict[str, list[Job]] = {}
        self._cancelled: dict[tuple[str, str], threading.Event] = {}

    # -- what agents ask for ------------------------------------------------------------------------------------------

    def run(self, agent: str, command: list[str], seconds: float, on_output: Callable[[bytes], None], gone: Callable[[], bool]) -> dict:
        """Run a command in a slot; output goes to `on_output` as it comes.

        It is ended when nobody waits for it any more, which `gone()` tells, or the run stops.
        """
        job = self._enter(agent, command, background=False)
        self._work(agent, job, command, seconds, on_output, gone)
        return {name: value for name, value in asdict(job).items() if name in ("returncode", "ended", "seconds", "slot")}

    def begin(self, agent: str, command: list[str], seconds: float) -> dict:
        """Queue a command for which nobody waits; returns at once."""
        job = self._enter(agent, command, background=True)
        written = ["bash", "-c", INTO_FILE, job.job, *command]
        threading.Thread(target=self._alone, args=(agent, job, written, seconds), daemon=True, name=f"{agent}-{job.job}").start()
        return {"job": job.job, "state": job.state, "file": f"$HOME/jobs/{job.job}.txt"}

    def listed(self, agent: str) -> list[dict]:
        """The agent's latest jobs, oldest first, with `words` on each."""
        with self._changed:
            return [{**asdict(job), "words": job.words()} for job in self._of(agent)[-MOST_LISTED:]]

    def cancel(self, agent: str, name: str) -> dict:
        """End a job of the agent, or take it out of its queue."""
        with self._changed:
            found = next((job for job in self._of(agent) if job.job == name), None)
            if found is None or found.is_over:
                raise UserError(f"{one_line(name)!r} is no job of yours that is queued or runs: `aar jobs` lists them")
            self._cancelled[agent, name].set()
            self._changed.notify_all()
        return {"job": name, "state": "ending"}

    def ended_since(self, agent: str, count: int) -> list[str]:
        """Of the background jobs that are over, in the order of their ends, all behind the first `count`: a line each."""
        with self._changed:
            self._of(agent)
            return [job.words() for job in self._over[agent][count:]]

    @property
    def busy(self) -> set[str]:
        """Agents that have a job queued or running."""
        with self._changed:
            return {agent for agent, line in self._line.items() if line}

    # -- one job ------------------------------------------------------------------------------------------------------

    def _of(self, agent: str) -> list[Job]:
        """The agent's jobs; at first sight read from its file, where those without an end are lost."""
        if agent not in self._all:
            known: dict[str, Job] = {}
            over: list[Job] = []
            names = {one.name for one in fields(Job)}
            for record in read_jsonl(self.paths.agent(agent) / "jobs.jsonl"):
                job = known[record["job"]] = Job(**{name: value for name, value in record.items() if name in names})
                over += [job] if job.is_over and job.background else []
            self._all[agent], self._over[agent], self._line[agent] = list(known.values()), over, []
            for job in self._all[agent]:
                if not job.is_over:
                    self._note(agent, job, state="lost")
        return self._all[agent]

    def _note(self, agent: str, job: Job, **about: object) -> None:
        """Change what is known of a job, durably."""
        for name, value in {**about, "time": utc_now()}.items():
            setattr(job, name, value)
        append_jsonl(self.paths.agent(agent) / "jobs.jsonl", asdict(job))
        if job.is_over and job.background:
            self._over[agent].append(job)

    def _enter(self, agent: str, command: list[str], background: bool) -> Job:
        with self._changed:
            mine = self._of(agent)
            line = self._line[agent]
            if len(line) > MOST_QUEUED:
                raise UserError(f"{MOST_QUEUED} jobs of yours wait behind {line[0].job}: `aar jobs` lists them, wait for one to end")
            job = Job(f"j{len(mine) + 1:04d}", one_line(shlex.join(command), 200), background)
            self._cancelled[agent, job.job] = threading.Event()
            self._note(agent, job)
            mine.append(job)
            line.append(job)
            return job

    def _alone(self, agent: str, job: Job, command: list[str], seconds: float) -> None:
        try:
            self._work(agent, job, command, seconds, lambda piece: None, lambda: False)
        except (UserError, ConnectionError, InterruptedError):
            pass  # how it ended stands in the list

    def _work(
        self, agent: str, job: Job, command: list[str], seconds: float, on_output: Callable[[bytes], None], gone: Callable[[], bool]
    ) -> None:
        """Wait for the job's turn and a slot, run it, and note how it ended, whatever happens."""
        cancelled, end = self._cancelled[agent, job.job], {"state": "lost"}

        def unwanted() -> bool:
            return cancelled.is_set() or gone()

        try:
            self._wait_for_turn(agent, job, unwanted)
            with self.slots.hold(self.stop) as slot:
                if unwanted():
                    raise ConnectionError("nobody waits for the job any more")
                with self._changed:
                    self._note(agent, job, state="running", slot=slot.name)
                box = agent_box(self.paths, agent, self.config["task"], self.config["isolation"], "job", slot.gpu)
                box = replace(box, limits=replace(box.limits, seconds=min(seconds, box.limits.seconds)))
                handle = start(box, command, on_output=on_output)
                while handle.poll() is None:
                    if unwanted() or self.stop.wait(0.05):
                        handle.kill()
                result = handle.wait()
            if not (self.stop.is_set() and result.ended == "killed"):
                ended = "request" if cancelled.is_set() and result.ended == "killed" else result.ended
                end = {"state": "ended", "returncode": result.returncode, "ended": ended, "seconds": round(result.seconds, 2)}
        except ConnectionError:
            end = {"state": "ended", "ended": "request" if cancelled.is_set() else "who asked for it, by hanging up"}
            raise
        except UserError as error:
            end = {"state": "ended", "ended": one_line(str(error), 200)}
            raise
        finally:
            with self._changed:
                self._note(agent, job, **end)
                self._line[agent].remove(job)
                del self._cancelled[agent, job.job]
                self._changed.notify_all()

    def _wait_for_turn(self, agent: str, job: Job, unwanted: Callable[[], bool]) -> None:
        """Return when the agent's earlier jobs are over. Raises as the sandbox's own waiting does."""
        with self._changed:
            while self._line[agent][0] is not job:
                if self.stop.is_set():
                    raise InterruptedError("the run stops")
                if unwanted():
                    raise ConnectionError("nobody waits for the job any more")
                self._changed.wait(0.2)
