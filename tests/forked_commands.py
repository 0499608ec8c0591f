"""Commands in processes that are forked from one that has loaded reelhook: that takes most of the
half second of CPU that a start costs, and a test run starts hundreds.

Each has its own folder, environment, standard streams and exit code, as a started one has.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

REQUEST_BYTES_MAX = 1024 * 1024


class Command:
    """A command that was started. Its members are those of `subprocess.Popen`."""

    def __init__(self, connection: socket.socket, stdout: IO[str] | None) -> None:
        self._connection = connection
        self._said = connection.makefile("rb", buffering=0)  # `select` knows of no buffer
        self._code: int | None = None
        self.stdout = stdout
        self.pid = int(self._said.readline())

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        with suppress(TimeoutError):
            self.wait(0.001)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises `TimeoutError`."""
        if self._code is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise TimeoutError(f"{self.pid} still runs")
            said = self._said.readline()
            assert said, "the command's parent ended"
            self._code = int(said)
            self._said.close()
            self._connection.close()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    streams: Sequence[int],
    stdout: IO[str] | None = None,
    user: int | None = None,
) -> Command:
    """Start `reelhook` with these arguments, and these descriptors as its standard streams.

    `stdout`: where its output can be read. `user`: see `run`.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_loaded()[0])
    request = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "user": user}
    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], streams)
    return Command(connection, stdout)


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
    ):
        given.write((stdin or "").encode())
        given.seek(0)
        streams = [given.fileno(), out.fileno(), err.fileno()]
        command = start(arguments, cwd=cwd, env=env, streams=streams, user=user)
        code = command.wait(timeout)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return code, texts[0], texts[1]


def _serve(address: str) -> None:
    """Fork a command for each request, until standard input ends."""
    for one in pkgutil.walk_packages(importlib.import_module("reelhook").__path__, "reelhook."):
        if not one.name.endswith("__main__") and ".migrations." not in one.name:
            importlib.import_module(one.name)
    _build_commands_once()
    gc.collect()
    gc.freeze()  # else a collection in a command would copy all pages that it shares
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


def _build_commands_once() -> None:
    """Make Typer's commands here: that is most of what a short command takes."""
    app = importlib.import_module("reelhook.cli.app")
    built = importlib.import_module("typer.main").get_command(app.build())
    vars(app)["build"] = lambda **_: built


def _parent(connection: socket.socket) -> None:
    """Run one command in a process of its own; say its id, then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
    while not request.endswith(b"\n"):
        request += connection.recv(REQUEST_BYTES_MAX)
    command = os.fork()
    if command == 0:
        connection.close()
        _command(json.loads(request), streams)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    with suppress(BrokenPipeError):  # nobody waits for it any more
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _command(request: Mapping[str, object], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)  # a line at a time if it is a terminal
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
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
