"""Commands in processes that are forked from one that has loaded reelhook: that takes most of the
half second of CPU that a start costs, and a test run starts hundreds.

Each has its own folder, environment, standard streams and exit code, as a started one has.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

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
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
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
    importlib.import_module("reelhook.doors.warming").warm_up()
    gc.collect()
    gc.freeze()  # else a collection in a command would copy all pages that it shares
    listener = socket.create_server(address, family=socket.AF_UNIX)
    print("ready", flush=True)  # noqa: T201 - to the test
    if os.fork() == 0:
        _start_commands(listener)
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def _build_commands_once() -> None:
    """Make Typer's commands here, and load what prints: most of what a short command takes."""
    app = importlib.import_module("reelhook.cli.app")
    built = importlib.import_module("typer.main").get_command(app.build())
    vars(app)["build"] = lambda **_: built
    with redirect_stdout(io.StringIO()):
        built.main(["--help"], standalone_mode=False)


def _start_commands(listener: socket.socket) -> NoReturn:
    """Run a command for each connection; say its process id, and its exit code when it ends."""
    ended, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, ended], [], [])
        if listener in ready:
            connection, _ = listener.accept()
            request, streams = _request(connection)
            command = os.fork()
            if command == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (listener, ended, wakes, connection, *running.values()):
                    one.close()
                _command(request, streams)
            for stream in streams:
                os.close(stream)
            running[command] = connection
            with suppress(BrokenPipeError):
                connection.sendall(f"{command}\n".encode())
        if ended in ready:
            ended.recv(REQUEST_BYTES_MAX)
            _say_ends(running)


def _request(connection: socket.socket) -> tuple[Any, list[int]]:
    request, streams, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
    while not request.endswith(b"\n"):
        request += connection.recv(REQUEST_BYTES_MAX)
    return json.loads(request), streams


def _say_ends(running: dict[int, socket.socket]) -> None:
    while running:
        command, status = os.waitpid(-1, os.WNOHANG)
        if command == 0:
            return
        with running.pop(command) as connection, suppress(BrokenPipeError):  # nobody waits any more
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _command(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
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
    os.environ.update(request["env"])
    random.seed()
    sys.argv = ["reelhook", *request["arguments"]]
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
