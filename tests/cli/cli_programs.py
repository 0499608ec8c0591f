"""The command line as users meet it: real processes with an environment of their own."""

import json
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import forked_commands
from migrated_database import prepare

COMMAND = (sys.executable, "-m", "reelhook")
KEPT = ("PATH", "HOME", "TMPDIR", "PYTHONPATH")
WAIT_SECONDS = 60.0
_URL = re.compile(r"http://[\w.:\[\]]+")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


def environment(**variables: str) -> dict[str, str]:
    """Return an environment without anybody's settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"PYTHONUTF8": "1", "COLUMNS": "100"} | variables


def reelhook(
    *arguments: str, directory: Path, stdin: str | None = None, **variables: str
) -> Outcome:
    """Run a command to its end."""
    code, out, err = forked_commands.run(
        arguments,
        cwd=directory,
        env=environment(**variables),
        stdin=stdin,
        timeout=WAIT_SECONDS,
    )
    return Outcome(code, out, err)


def at_once(run: Callable[..., Outcome], *commands: tuple[str, ...]) -> list[Outcome]:
    """Run independent commands side by side: each is a process, and starting one takes time."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda arguments: run(*arguments), commands))


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs until it is told to stop; `url` is what it said it answers at."""

    process: forked_commands.Command
    url: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start(*arguments: str, directory: Path, says: str, **variables: str) -> Program:
    """Start a program, and wait for the line that says its URL."""
    output, writing = os.pipe()
    with open(os.devnull, "r+") as nothing:
        process = forked_commands.start(
            arguments,
            cwd=directory,
            env=environment(**variables),
            streams=[nothing.fileno(), writing, nothing.fileno()],
            stdout=os.fdopen(output),
        )
    os.close(writing)
    assert process.stdout is not None
    for line in process.stdout:
        if says in line and (match := _URL.search(line)):
            return Program(process, match[0])
    process.stdout.close()
    raise AssertionError(f"{arguments} ended with {process.wait()} before it said {says!r}")


def simulator(directory: Path, *arguments: str) -> Program:
    """Start `reelhook simulate` on a free port."""
    return start("simulate", "--port", "0", *arguments, directory=directory, says="provider runs")


def serve(directory: Path, provider: Program, *arguments: str, **variables: str) -> Program:
    """Start `reelhook serve`, quick of eye, by default on a free port. It need not migrate."""
    named = "--data-dir" in arguments
    folder = arguments[arguments.index("--data-dir") + 1] if named else "reelhook-data"
    prepare(directory / folder / "reelhook.db")
    port = () if "--port" in arguments else ("--port", "0")
    return start(
        *("serve", *port, "--poll-seconds", "0.1", "--openai-base-url", f"{provider.url}/v1"),
        *("--allow-networks", "127.0.0.1/32", *arguments),
        directory=directory,
        says="reelhook listens on",
        **variables,
    )


def on_terminal(
    *arguments: str, directory: Path, until: str | None = None, typed: str = "", **variables: str
) -> tuple[int, str]:
    """Run a command on a terminal; return its exit code and what it showed, without colours.

    Once `until` was shown, the command is told to stop. `typed` is what someone types there.
    """
    leader, follower = pty.openpty()
    process = forked_commands.start(
        arguments,
        cwd=directory,
        env=environment(TERM="xterm-256color", **variables),
        streams=[follower] * 3,
    )
    os.close(follower)
    os.write(leader, typed.encode())
    try:
        shown = _read(leader, process, until)
    finally:
        os.close(leader)
    return process.wait(WAIT_SECONDS), _ESCAPES.sub("", shown)


def _read(leader: int, process: forked_commands.Command, until: str | None) -> str:
    shown, deadline = b"", time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the terminal is gone once the process is
            return shown.decode(errors="replace")
        if not chunk:
            return shown.decode(errors="replace")
        shown += chunk
        if until is not None and until.encode() in shown:
            process.send_signal(signal.SIGINT)
            until = None
    process.kill()
    raise AssertionError(f"Still running; it showed {shown.decode(errors='replace')!r}")
