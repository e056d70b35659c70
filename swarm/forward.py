"""Inside a sandbox: a port of its own loopback that leads to the model socket, and the agent CLI that is told of the port.

    python3 -I -S /aar/lib/forward.py PORT SOCKET -- COMMAND ...

An agent CLI speaks HTTP over TCP and the one way out is a Unix socket: each connection to 127.0.0.1:PORT is piped to a
connection of its own to SOCKET, byte by byte. Signals go on to the command, its exit code comes back (128 + N where
signal N ended it). Standard library only.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

PIECE = 1 << 16
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NICENESS = 10
"""Of the command and all that it starts: behind the evaluator, but not starved while it works, or connections would time out."""


async def pump(reader, writer):
    """Bytes one way until they end; the end is passed on, the other way stays open."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()  # waits while the other side is slow
    writer.write_eof()


async def connect(caller, called, path):
    """One connection, both ways. What breaks one side breaks the other: a caller that is gone must cost nothing more."""
    sides = [called]
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        sides.append(writer)
        ways = [asyncio.ensure_future(pump(caller, writer)), asyncio.ensure_future(pump(reader, called))]
        _, unfinished = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        for way in unfinished:
            way.cancel()
        broken = [found for found in await asyncio.gather(*ways, return_exceptions=True) if isinstance(found, OSError)]
    except OSError:
        broken = True
    for side in sides:
        if broken:
            side.transport.abort()
        else:
            side.close()


async def serve(listener, path):
    open_ones = set()  # the loop itself holds its tasks by weak references only

    def accept(reader, writer):
        task = asyncio.ensure_future(connect(reader, writer, path))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)

    server = await asyncio.start_server(accept, sock=listener)
    await server.serve_forever()


def reachable(path):
    """The socket by way of its folder's descriptor: an address may have 107 bytes, a path more."""
    folder, name = os.path.split(os.path.abspath(path))
    return f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}/{name}"


def main(port, path, command):
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    threading.Thread(target=asyncio.run, args=(serve(listener, reachable(path)),), daemon=True).start()
    if os.getpriority(os.PRIO_PROCESS, 0) < NICENESS:  # of this thread and its children; the one that forwards stays quick
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    child, early = None, []

    def pass_on(number, _):
        child.send_signal(number) if child else early.append(number)

    for number in PASSED_ON:  # before there is a child, or a signal meanwhile would end this process alone
        signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"aar: {command[0]} does not start: {error.strerror}", file=sys.stderr)
        return 127
    for number in early:
        child.send_signal(number)
    code = child.wait()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[sys.argv.index("--") + 1 :]))
