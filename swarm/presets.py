"""How agent CLIs are started and told to go on: templates of argv and environment, ours for three CLIs or those of aar.toml.

    command = command_of(config["command"])
    argv = fill(command.argv, {"model": "claude-opus-5-5", "session": "6f1c...", ...})

A run freezes `resolved_command(...)` into its run.toml, so that a later change here or in aar.toml does not change it.

Fields are written {model}. An argument or a variable in which a field is empty is left out: `--effort={effort}` where no
effort was said. Prompt and news come on standard input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from state.errors import UserError
from swarm.programs import find_program

FIELDS = {
    "model": "its model, by the name that the API knows",
    "effort": "how hard it shall think, as [model] says",
    "prompt_file": "the file with its prompt",
    "session": "a UUID of its session",
    "home": "its HOME",
    "worktree": "its worktree, which it starts in",
    "port": "the port of 127.0.0.1 that leads to the model",
    "url": "http://127.0.0.1:PORT",
    "max_turns": "how many turns it shall take before it ends and hears the news",
    "max_tokens": "that one turn may write",
}
_FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")
_A_KEY = re.compile(r"_(API_KEY|AUTH_TOKEN|ACCESS_TOKEN|SECRET)$")
_LOOKS_LIKE_A_FIELD = re.compile(r"\{([a-z_]+)\}")
NO_KEY = "sk-ant-api03-the-key-is-with-the-proxy-and-not-in-here"
"""CLIs ask for a key before they ask a server. The proxy takes it off and puts the real one on."""


@dataclass(frozen=True)
class Command:
    """`argv` starts a new session, `resume` goes on with the last one. `binds`: see programs.py."""

    argv: tuple[str, ...]
    resume: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    binds: tuple[str, ...] = ()


_CLAUDE = (
    "claude", "-p", "--bare", "--output-format", "stream-json", "--verbose", "--model", "{model}", "--effort={effort}",
    "--max-turns", "{max_turns}", "--tools", "Bash,Read,Edit,Write,Glob,Grep", "--allowedTools",
    "Bash,Read,Edit,Write,Glob,Grep", "--permission-mode", "dontAsk",
)  # fmt: skip
_OPENCODE = ("opencode", "run", "--pure", "--auto", "--format", "json", "--model", "anthropic/{model}")
# The CLI's own sandbox needs namespaces that this sandbox does not give; ours stands around it.
_CODEX = (
    "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--model", "{model}",
    "-c", 'model_provider="aar"',
    "-c", 'model_providers.aar={name = "aar", base_url = "{url}/v1", env_key = "OPENAI_API_KEY", wire_api = "responses"}',
    "--config=model_reasoning_effort={effort}", "-c", 'web_search="disabled"', "-c", "check_for_update_on_startup=false",
    "-c", "analytics.enabled=false", "-c", "feedback.enabled=false",
    # Tools that are described or run on the server's side, which the proxy refuses.
    "--disable", "multi_agent", "--disable", "apps", "--disable", "plugins", "--disable", "image_generation",
)  # fmt: skip

PRESETS = {
    "claude": Command(
        argv=(*_CLAUDE, "--session-id", "{session}"),
        resume=(*_CLAUDE, "--resume", "{session}"),
        env={
            "IS_SANDBOX": "1",  # or it refuses to work for uid 0
            "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_BUG_COMMAND": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "{max_tokens}",
            # Small tasks of its own go to a small model, which the proxy would refuse.
            "ANTHROPIC_SMALL_FAST_MODEL": "{model}", "ANTHROPIC_DEFAULT_HAIKU_MODEL": "{model}",
        },
    ),
    "opencode": Command(
        argv=_OPENCODE,
        resume=(*_OPENCODE, "--continue"),
        env={
            "OPENCODE_CONFIG_CONTENT": '{"autoupdate": false, "share": "disabled", "permission": "allow",'
            ' "model": "anthropic/{model}", "small_model": "anthropic/{model}", "enabled_providers": ["anthropic"],'
            ' "provider": {"anthropic": {"options": {"baseURL": "{url}/v1"}, "models": {"{model}": {}}}}}',
            "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_EXPERIMENTAL_OUTPUT_TOKEN_MAX": "{max_tokens}",
        },
    ),
    # Asks /v1/responses, so the base URL has to be of a server that speaks it.
    "codex": Command(
        argv=("codex", "exec", *_CODEX, "-"),
        resume=("codex", "exec", "resume", "--last", *_CODEX, "-"),
    ),
}  # fmt: skip


def command_of(settings: dict[str, Any]) -> Command:
    """The command that [command] of aar.toml means: its preset, with what it says beside that. UserError for what makes no sense."""
    name = settings.get("preset", "") or ("" if settings.get("argv") else "claude")
    if name and name not in PRESETS:
        raise UserError(f"there is no preset {name!r} of an agent CLI: there is {', '.join(PRESETS)}; or write [command] argv into aar.toml")
    base = PRESETS.get(name, Command((), ()))
    argv = tuple(settings.get("argv") or base.argv)
    # A CLI that cannot go on is started anew: it finds its worktree and its notebook as it left them.
    resume = tuple(settings.get("resume") or (argv if settings.get("argv") else base.resume))
    command = Command(argv, resume, {**base.env, **settings.get("env", {})}, (*base.binds, *settings.get("binds", ())))
    for text in (*command.argv, *command.resume, *settings.get("env", {}).values()):
        for unknown in set(_LOOKS_LIKE_A_FIELD.findall(text)) - set(FIELDS):
            raise UserError(f"aar.toml, [command]: {text!r} has no field {{{unknown}}}; there is {', '.join(FIELDS)}")
    for variable in filter(_A_KEY.search, settings.get("env", {})):
        raise UserError(f"aar.toml, [command] env: {variable} is left out, please: no key may be where agents are, the proxy adds it")
    return command


def resolved_command(settings: dict[str, Any]) -> dict[str, Any]:
    """[command] as a run keeps it: templates in place of the preset's name. UserError also where the program is not there, or
    cannot be shown to a sandbox."""
    command = command_of(settings)
    for name in dict.fromkeys((command.argv[0], command.resume[0])):
        find_program(name, command.binds)
    return {"argv": list(command.argv), "resume": list(command.resume), "env": command.env, "binds": list(command.binds)}


def fill(templates: Iterable[str], values: dict[str, str]) -> list[str]:
    """The templates with their fields filled in, without those in which one is empty."""
    return [_filled(text, values) for text in templates if all(values[name] for name in _FIELD.findall(text))]


def fill_env(templates: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """The same for an environment."""
    return {name: _filled(text, values) for name, text in templates.items() if all(values[part] for part in _FIELD.findall(text))}


def _filled(text: str, values: dict[str, str]) -> str:
    return _FIELD.sub(lambda found: values[found[1]], text)
