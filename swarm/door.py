"""The command `aar` inside an agent's sandbox: asks the broker through the agent's socket. Standard library only.

    aar submit methods/x.py [-m WHY] [--inspired-by COMMIT|POST] [--predict PGR] [--wait]
    aar wait s0001          aar scores          aar task          aar commit [-m WHY]
    aar news          (what happened since you last asked)
    aar post --type result --title TEXT [--submission s0001] < body.md
    aar job [--background] [--seconds N] -- COMMAND ...        (heavy work: waits for a slot)          aar jobs
    aar claim "what I try"          aar claims          aar claim --done
"""

import argparse
import json
import os
import socket
import sys


def ask(request, on_output=None, path=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            folder, name = os.path.split(str(path or os.environ.get("AAR_DOOR", "/aar/door.sock")))
            # A socket's path may have 107 bytes; without walls it is the run's own, which may have more.
            here = os.open(folder, os.O_PATH)
            try:
                connection.connect("/proc/self/fd/%d/%s" % (here, name))
            finally:
                os.close(here)
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                if "output" not in answer:
                    return answer
                on_output(answer["output"])
        except (OSError, ValueError) as error:
            return {"error": "the run does not answer (%s): it may be stopping" % error}
    return {"error": "the run hung up: it may be stopping"}


def heard(cursor=None):
    """What this shell has heard already, kept in its HOME; with `cursor`: keep that from now on."""
    file = os.path.join(os.environ.get("HOME", "/tmp"), ".aar-heard.json")
    if cursor is not None:
        with open(file, "w") as out:
            json.dump(cursor, out)
        return cursor
    try:
        with open(file) as kept:
            return json.load(kept)
    except (OSError, ValueError):
        return None


def number(value, form="%.2f"):
    return "n/a" if value is None else form % value


def line(verdict):
    """A verdict on one line."""
    head = "%s %-8s %s" % (verdict["submission"], verdict["agent"], verdict["method"])
    if verdict["status"] != "scored":
        return "%s: %s: %s" % (head, verdict["status"], verdict["error"])
    return "%s: PGR %s [%s, %s] lift %s [%s, %s] on %s draws%s%s%s%s%s" % (
        head, number(verdict["pgr"]), number(verdict["pgr_low"]), number(verdict["pgr_high"]),
        number(verdict["lift"], "%+.2f"), number(verdict["lift_low"], "%+.2f"), number(verdict["lift_high"], "%+.2f"),
        verdict["draws"],
        ", predicted %.2f" % verdict["predict"] if verdict.get("predict") is not None else "",
        ", against the best: " + verdict["against_best"] if verdict.get("against_best") else "",
        ", track " + verdict["track"] if verdict["track"] != "main" else "",
        ", flags: " + "; ".join([", ".join(verdict["flags"]), *(verdict.get("reasons") or [])]) if verdict.get("flags") else "",
        ", same code as " + verdict["same_as"] if verdict.get("same_as") else "",
    )  # fmt: skip


def parser():
    top = argparse.ArgumentParser(prog="aar", description="your door to the run: commit, have scored, read, tell, compute")
    commands = top.add_subparsers(dest="do", required=True, metavar="COMMAND")

    def add(name, about):
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--json", action="store_true", help="print JSON")
        return command

    command = add("submit", "commit your files and queue one method to be scored")
    command.add_argument("method", help="methods/NAME.py")
    command.add_argument("--predict", type=float, help="the PGR that you expect")
    command.add_argument("--wait", action="store_true", help="wait for the verdict and print it")
    commits = [command, add("commit", "commit methods/*.py, notes/*.md and notebook.md to your branch")]
    for command in commits:
        command.add_argument("-m", "--message", default="", help="why")
        command.add_argument("--inspired-by", action="append", default=[], help="a commit or a post of the forum")
    command = add("wait", "wait for the verdict of a submission")
    command.add_argument("submission")
    command.add_argument("--timeout", dest="seconds", type=float, default=3600.0, help="seconds")
    add("scores", "all verdicts of the run, best lower bound first")
    command = add("post", "write to the forum; the text comes on standard input")
    command.add_argument("--type", required=True, choices=["hypothesis", "result", "insight", "error", "question"])
    command.add_argument("--title", required=True)
    command.add_argument("--submission", help="figures of a result are filled in from its verdict")
    command.add_argument("--replies-to", help="file name of a post")
    command = add("job", "run a heavy command in a slot, one at a time; a second waits for its turn")
    command.add_argument("--seconds", type=float, default=600.0, help="at most so long (default 600, which is the most)")
    command.add_argument("--background", action="store_true", help="return at once; the output goes to $HOME/jobs/ID.txt")
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    command = add("jobs", "your jobs: which are queued, run, or ended, and how")
    command.add_argument("--end", metavar="ID", help="end one, or take it out of the queue")
    add("news", "what happened since you last asked: posts, verdicts, a new best, what is left to you")
    command = add("claim", "say what you try; who tries the like, and what came of it before")
    command.add_argument("text", nargs="?", default="", help="in a line; it ends your last claim")
    command.add_argument("--done", action="store_true", help="you try it no more")
    add("claims", "what is being tried, by whom")
    add("task", "what the task is, what a verdict can tell, and what you may read")
    return top


def main():
    if len(sys.argv) == 1:
        parser().print_help()
        return 2
    arguments = vars(parser().parse_args())
    as_json, wait = arguments.pop("json"), arguments.pop("wait", False)
    if arguments["do"] == "post":
        arguments["body"] = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    if arguments["do"] == "job":
        arguments["command"] = [a for i, a in enumerate(arguments["command"]) if i or a != "--"]
    if arguments["do"] == "news":
        arguments["cursor"] = heard()
    try:
        json.dumps(arguments, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        print("aar: the text is not UTF-8: convert it first, such as with iconv -f latin1 -t utf-8", file=sys.stderr)
        return 2
    answer = ask(arguments, lambda piece: (sys.stdout.write(piece), sys.stdout.flush()))
    if wait and "error" not in answer:
        answer = ask({"do": "wait", "submission": answer["submission"]})
    if "error" in answer and "status" not in answer:
        print("aar: %s" % answer["error"], file=sys.stderr)
        return 2
    if "cursor" in answer:
        heard(answer["cursor"])
    if as_json:
        print(json.dumps(next((answer[name] for name in ("scores", "jobs", "claims") if name in answer), answer)))
    elif "status" in answer:
        print(line(answer))
    elif "scores" in answer:
        print("\n".join(map(line, answer["scores"])) or "no verdict yet")
        print("submissions left: %(agent)d of yours, %(fleet)d of all agents" % answer["left"])
    elif "news" in answer:
        print("\n".join("- " + item["text"] for item in answer["news"]) or "no news")
    elif "jobs" in answer:
        print("\n".join(job["words"] for job in answer["jobs"]) or "no job yet")
    elif "claims" in answer:
        print("\n".join(claim["words"] for claim in answer["claims"]) or "no claim is live")
    elif "tried" in answer:
        print('you claim "%s" for two hours' % answer["claim"])
        for words, lines in (("others try the like:", answer["alike"]), ("without gain before:", answer["tried"])):
            print("\n    ".join([words, *lines]) if lines else words + " nothing found")
    elif "description" in answer:
        print(answer["description"])
        noise = answer["smallest_difference"]
        print("smallest difference in PGR that full verdicts have told so far: %s" % ("none yet, see above for what is expected" if noise is None else "about %.2f" % noise))
        left = "no end of time" if answer["seconds_left"] is None else "%d s left" % answer["seconds_left"]
        print("you are %s, direction %s, %d submissions so far, %s" % (*(answer[k] for k in ("agent", "direction", "submissions")), left))
        print("submissions left: %(agent)d of yours, %(fleet)d of all agents" % answer["submissions_left"])
        print("read: %s" % answer["files"])
    elif "returncode" in answer:
        if answer["ended"]:
            print("aar: the job was ended: %s" % answer["ended"], file=sys.stderr)
        return answer["returncode"] & 255
    else:
        print("\n".join("%s %s" % item for item in answer.items() if item[1] is not None))
    return 0


if __name__ == "__main__":
    sys.exit(main())
