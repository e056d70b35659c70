"""What a method's own code executes, spawns, imports or opens while it runs, told by Python's audit events (PEP 578).

    trace = Trace(descriptor, "methods/x.py", allowed={"numpy", ...}, texts=pool_texts)
    trace.start()                      # from here on, once for each flag, a line {"flag", "event", "line"} goes to `descriptor`

Libraries may do all of this; what counts is whose code it is. An event belongs to the method if the nearest frame that is not of
the standard library is one of its own: what torch opens is torch's. Code that is made from the texts which it is to judge
belongs to it in any case. A line goes out at once, through a pipe that the method does not know of, so that nothing it does
afterwards takes it back.

The trace is tamper-resistant, not proof: it lives in the process of the method. The walls around that process do not depend on it.
"""
from __future__ import annotations

import json
import os
import sys
import sysconfig
import threading
from collections.abc import Collection, Iterable, Sequence

EVENTS = {
    "compile": "executes-data", "exec": "executes-data", "code.__new__": "executes-data", "function.__new__": "executes-data",
    "subprocess.Popen": "spawns", "os.fork": "spawns", "os.forkpty": "spawns", "os.exec": "spawns", "os.posix_spawn": "spawns",
    "os.spawn": "spawns", "os.system": "spawns", "pty.spawn": "spawns", "os.kill": "spawns", "os.killpg": "spawns",
    "open": "opens-files", "os.listdir": "opens-files", "os.scandir": "opens-files", "os.walk": "opens-files", "glob.glob": "opens-files",
    "os.remove": "opens-files", "os.rename": "opens-files", "os.mkdir": "opens-files", "os.link": "opens-files", "os.symlink": "opens-files",
    "os.truncate": "opens-files", "os.utime": "opens-files",
    "import": "imports",
    "socket.__new__": "connects", "socket.connect": "connects", "socket.bind": "connects", "socket.getaddrinfo": "connects",
    "sys._getframe": "inspects", "sys._getframemodulename": "inspects", "sys._current_frames": "inspects", "sys.settrace": "inspects",
    "sys.setprofile": "inspects", "sys.addaudithook": "inspects", "gc.get_objects": "inspects", "gc.get_referrers": "inspects",
    "gc.get_referents": "inspects", "object.__getattr__": "inspects", "object.__setattr__": "inspects", "ctypes.dlopen": "inspects",
    "ctypes.dlsym": "inspects", "ctypes.cdata": "inspects", "ctypes.string_at": "inspects",
}
"""Audit event -> flag of eval/tracks.py."""
CODE_OF_TEXT = {"compile", "exec"}
DIRECT = {event for event, flag in EVENTS.items() if flag == "inspects"} | {"code.__new__", "function.__new__"}
"""Events that count where the method's own frame raises them: the standard library looks into frames all the time."""
WAYS_TO_RUN = {"eval", "exec", "compile"}
PRIVATE, HANDED = "/aar/", ("/aar/lib/", "/aar/models/")
"""Where our own files lie inside, and those that a method may have read for it by a library."""
PIECE = 20
"""Characters, without blanks, that code must share with a text to count as made of it."""


class Trace:
    """The trace of one process. `allowed`: modules that a method may import; `texts`: what it is to judge, a list that
    may grow."""

    def __init__(self, descriptor: int, name: str, allowed: Collection[str], texts: Sequence[str]) -> None:
        self.descriptor, self.name, self.allowed, self.texts = descriptor, name, frozenset(allowed), texts
        stdlib = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
        self.stdlib = tuple(os.path.realpath(path) + os.sep for path in stdlib) + tuple(path + os.sep for path in stdlib)
        self.libraries = tuple({os.path.realpath(folder) + os.sep for folder in (sys.prefix, sys.base_prefix, "/usr")})
        self.told: set[str] = set()
        self.pieces: set[int] = set()
        self.cut = 0

    def start(self) -> None:
        """From here to the end of this process; nothing can take the hook away."""
        write, leave, frame_of, thread = os.write, os._exit, sys._getframe, threading.get_ident
        looking: set[int] = set()  # threads in the hook: to look at frames is an event too

        def hook(event: str, arguments: tuple) -> None:
            flag, here = EVENTS.get(event), thread()
            if flag is None or flag in self.told or here in looking:
                return
            looking.add(here)
            try:
                line, event = self._own_line(event, arguments, frame_of(1))
            finally:
                looking.discard(here)
            flag = EVENTS[event]
            if line is None or flag in self.told:
                return
            self.told.add(flag)
            try:
                write(self.descriptor, json.dumps({"flag": flag, "event": event, "line": line}).encode() + b"\n")
            except OSError:  # somebody closed what it did not open
                leave(1)

        sys.addaudithook(hook)

    def _own_line(self, event: str, arguments: tuple, raised: object) -> tuple[int | None, str]:
        """The line of the method that an event is charged to, None where it is none of its own; and what to call the event."""
        direct = raised.f_code.co_filename == self.name
        own, module = self._walk(raised, skip_stdlib=event not in DIRECT and event != "import")
        if own is not None and module and module.split(".")[0] not in self.allowed:
            return own, "import"  # `importlib.import_module` tells of nothing but of what it reads and runs
        if module and own is not None:
            return None, event  # a library is loaded that may be
        if event in CODE_OF_TEXT:
            # A named tuple or a data class makes code of its own; but a frame that does not know of eval runs what it was given,
            # as `numpy.vectorize(eval)` does.
            line, loading = self._nearest_own(raised)
            given = not loading and not WAYS_TO_RUN & set(raised.f_code.co_names)
            return line if direct or given or self._is_text(arguments) else None, event
        if event == "open":
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
            if path.startswith(PRIVATE) and not path.startswith(HANDED):
                return self._nearest_own(raised)[0], event
            return None if not direct and os.path.realpath(path).startswith(self.libraries) else own, event
        if event == "import" and arguments[0].split(".")[0] in self.allowed:
            return None, event
        return own, event

    def _walk(self, frame: object, skip_stdlib: bool) -> tuple[int | None, str]:
        """The method's line if the nearest frame that counts is its own, and the module that it imports there, if it does."""
        module = ""
        while frame is not None:
            file = frame.f_code.co_filename
            if file == self.name:
                return frame.f_lineno, module
            if file.startswith("<frozen importlib"):
                if frame.f_code.co_name == "_find_and_load":
                    module = frame.f_locals.get("name", "")
            elif not (file.startswith("<") or file.endswith("importlib/__init__.py") or (skip_stdlib and self._is_stdlib(file))):
                return None, module
            frame = frame.f_back
        return None, module

    def _nearest_own(self, frame: object) -> tuple[int | None, bool]:
        """The line of the nearest frame of the method, whatever lies between, and whether a module is loaded between."""
        loading = False
        while frame is not None and frame.f_code.co_filename != self.name:
            loading = loading or frame.f_code.co_name == "_find_and_load"
            frame = frame.f_back
        return frame and frame.f_lineno, loading

    def _is_stdlib(self, file: str) -> bool:
        return file.startswith(self.stdlib) and "-packages" + os.sep not in file

    def _is_text(self, arguments: tuple) -> bool:
        """Whether the source that is compiled shares a piece with a text that is to be judged."""
        source = arguments[0] if arguments else None
        if isinstance(source, (bytes, bytearray)):
            source = source.decode("utf-8", "replace")
        if not isinstance(source, str):
            return False
        for text in self.texts[self.cut :]:
            self.pieces.update(map(hash, _pieces(text, step=PIECE // 2)))
        self.cut = len(self.texts)
        return any(hash(piece) in self.pieces for piece in _pieces(source))


def _pieces(text: str, step: int = 1) -> Iterable[str]:
    """Runs of PIECE characters of a text, blanks left out, every `step`; a shorter text is one piece. What is judged is cut into fewer,
    or those of long texts would fill the memory; what is compiled is looked through at every place."""
    plain = "".join(text.split())
    if 8 <= len(plain) <= PIECE:
        return [plain]
    last = max(0, len(plain) - PIECE)
    return [plain[start : start + PIECE] for start in (*range(0, last, step), last)] if len(plain) > PIECE else []
