"""A small agent CLI, as a stand-in for the big ones: talks to ANTHROPIC_BASE_URL, runs bash, keeps its session in HOME.

    python scripted_cli.py --model M --session UUID < prompt          python scripted_cli.py --model M --resume UUID < words

Standard library only, since it runs inside a sandbox. Prints what it does as JSON lines.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

BASH = {
    "name": "bash",
    "description": "run a command",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}


def say(**what):
    print(json.dumps(what), flush=True)


def ask(model, messages):
    body = {"model": model, "max_tokens": 2000, "system": "a scripted CLI", "messages": messages, "tools": [BASH]}
    headers = {"content-type": "application/json", "x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        say(error={"message": f"API Error: {error.code} {json.load(error)['error']['message']}"})
    except (OSError, ValueError) as error:
        say(error={"message": f"API Error: {error}"})
    sys.exit(1)


def answered(use):
    done = subprocess.run(["bash", "-c", use["input"]["command"]], capture_output=True, text=True)
    say(ran=use["input"]["command"], exit=done.returncode, output=(done.stdout + done.stderr)[-2000:])
    return {"type": "tool_result", "tool_use_id": use["id"], "content": done.stdout + done.stderr or "(nothing)"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--session")
    parser.add_argument("--resume")
    said = parser.parse_args()
    file = pathlib.Path(os.environ["HOME"], "sessions", f"{said.session or said.resume}.json")
    if said.resume and not file.exists():
        sys.exit(f"No session found with ID {said.resume}")
    if said.session and file.exists():
        sys.exit(f"Session ID {said.session} is already in use")
    messages = json.loads(file.read_text()) if said.resume else []
    blocks = [{"type": "text", "text": sys.stdin.read()}]
    if messages:  # it may have been cut off before a command had its answer
        unfinished = [part for part in messages[-1]["content"] if part["type"] == "tool_use"]
        blocks[:0] = [{"type": "tool_result", "tool_use_id": use["id"], "content": "interrupted"} for use in unfinished]
    while blocks:
        messages.append({"role": "user", "content": blocks})
        answer = ask(said.model, messages)
        messages.append({"role": "assistant", "content": answer["content"]})
        file.parent.mkdir(exist_ok=True)
        whole = file.with_suffix(".new")  # it may be killed while it writes
        whole.write_text(json.dumps(messages))
        whole.replace(file)
        say(turn=len(messages) // 2, text="".join(part.get("text", "") for part in answer["content"]))
        blocks = [answered(part) for part in answer["content"] if part["type"] == "tool_use"]


main()
