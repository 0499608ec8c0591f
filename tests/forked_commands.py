"""Commands in processes that are forked from one that has loaded reelhook: that takes most of the
half second of CPU that a start costs, and a test run starts hundreds.

Each has its own folder, environment, standard streams and exit code, as a started one has.
"""

import atexit
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

REQUEST_BYTES_MAX = 1024 * 1024


@cache
def _loaded() -> tuple[str, "subprocess.Popen[bytes]"]:
    """Start the process that commands are forked from; return the address it listens at too."""
    folder = tempfile.mkdtemp(prefix="reelhook-forks-")
    address = str(Path(folder) / "socket")
    process = subprocess.Popen(
        [sys.executable, __file__, address],
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == b"ready\n"
    # It ends with this process, however that ends: its input does.
    atexit.register(process.communicate)
    return address, process


def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: str | None,
    timeout: float,
    user: int | None = None,
) -> tuple[int, str, str]:
    """Run `reelhook` with these arguments; return exit code, output and errors.

    `user`: whose rights it has, where root runs it. Others may be unable to read Python itself.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        given.write((stdin or "").encode())
        given.seek(0)
        connection.settimeout(timeout)
        connection.connect(_loaded()[0])
        request = json.dumps(
            {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "user": user}
        )
        streams = [given.fileno(), out.fileno(), err.fileno()]
        socket.send_fds(connection, [request.encode() + b"\n"], streams)
        answer = connection.makefile().readline()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    assert answer, "the command's parent ended"
    return int(answer), texts[0], texts[1]


def _serve(address: str) -> None:
    """Fork a command for each request, until standard input ends."""
    for one in pkgutil.walk_packages(importlib.import_module("reelhook").__path__, "reelhook."):
        if not one.name.endswith("__main__") and ".migrations." not in one.name:
            importlib.import_module(one.name)
    listener = socket.create_server(address, family=socket.AF_UNIX)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the parents of commands
    print("ready", flush=True)  # noqa: T201 - to the test
    if os.fork() == 0:
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _parent(connection)
            connection.close()
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def _parent(connection: socket.socket) -> None:
    """Run one command in a process of its own, and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
    while not request.endswith(b"\n"):
        request += connection.recv(REQUEST_BYTES_MAX)
    command = os.fork()
    if command == 0:
        connection.close()
        _command(json.loads(request), streams)
    _, status = os.waitpid(command, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _command(request: Mapping[str, object], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(str(request["cwd"]))
    if isinstance(user := request["user"], int):
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload] # of JSON
    random.seed()
    sys.argv = ["reelhook", *request["arguments"]]  # type: ignore[misc] # of JSON
    code: object = 0
    try:
        from reelhook.cli import main  # noqa: PLC0415 - where this is a script, reelhook is loaded

        main()
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)  # noqa: T201 - as the interpreter does
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    os.setpgrp()
    _serve(sys.argv[1])
