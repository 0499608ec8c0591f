"""Output of the demo: a bar and colour on a terminal, plain lines elsewhere, or nothing."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import Progress
from rich.text import Text

from reelhook.cli import render
from reelhook.cli.watching import progress_bar, show_progress
from reelhook.telemetry.lines import printable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from reelhook.cli.receiver import Webhook
    from reelhook.cli.video_check import CheckedVideo


_NAME_WIDTH = 20
_NEXT = (
    ("demo --dashboard", "the dashboard, with jobs in every state"),
    ("serve --simulate", "a server to send your own requests to, without a key"),
    ("init", "real videos: asks for a provider's key, and writes .env"),
)
"""Commands to try next, and what each is good for."""


class DemoView(Protocol):
    """The demo's output, step by step."""

    def start(self, *, provider: str, server: str, receiver: str) -> None:
        """Show the URLs of the three programs, which are running."""

    def created(self, job: dict[str, Any]) -> None:
        """Show the job that the server accepted."""

    def running(self) -> "AbstractContextManager[None]":
        """Show that the job is running until this block ends."""

    def progress(self, status: str, percent: int) -> None:
        """Show the job's progress."""

    def webhook(self, webhook: "Webhook") -> None:
        """Show a webhook that arrived."""

    def finish(self, video: "CheckedVideo", webhooks: int) -> None:
        """Show the result, after everything has stopped."""


def demo_view(*, quiet: bool) -> DemoView:
    """Return the view that suits stdout."""
    if quiet:
        return _Quiet()
    return _Terminal() if render.on_terminal() else _Lines()


def program() -> str:
    """Return the command that starts this program: its path, where a shell does not find it."""
    path = Path(sys.argv[0])
    if path.name != "reelhook" or shutil.which("reelhook") is not None:
        return "reelhook"
    return os.path.relpath(path)


def _webhook_columns(webhook: "Webhook") -> tuple[str, str, str]:
    body = webhook.body
    number, progress = body.get("sequence", "?"), body.get("progress", "?")
    signature = "signature verified" if webhook.verified else "SIGNATURE WRONG"
    return f"Webhook {number:>2}", f"{body.get('status', '?'):<10} {progress:>3} %", signature


class _Quiet:
    def start(self, *, provider: str, server: str, receiver: str) -> None:
        pass

    def created(self, job: dict[str, Any]) -> None:
        pass

    @contextmanager
    def running(self) -> Iterator[None]:
        yield

    def progress(self, status: str, percent: int) -> None:
        pass

    def webhook(self, webhook: "Webhook") -> None:
        pass

    def finish(self, video: "CheckedVideo", webhooks: int) -> None:
        pass


class _Lines(_Quiet):
    def start(self, *, provider: str, server: str, receiver: str) -> None:
        render.say(f"Simulated provider: {provider}")
        render.say(f"reelhook: {server}")
        render.say(f"Webhook receiver: {receiver}")

    def created(self, job: dict[str, Any]) -> None:
        render.say(f"Job {job['jobId']}: {printable(job['title'])}")

    def webhook(self, webhook: "Webhook") -> None:
        name, state, signature = _webhook_columns(webhook)
        render.say(f"{name}: {state}, {signature}, id {printable(webhook.id)}")

    def finish(self, video: "CheckedVideo", webhooks: int) -> None:
        render.say(f"Video: {video.path.resolve()} ({video.summary()}), decoded")
        render.say(f"{webhooks} webhooks, the last one exactly once")
        for command, purpose in _NEXT:
            render.say(f"Next: {program()} {command} ({purpose})")


class _Terminal(_Quiet):
    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._console = render.console()

    def start(self, *, provider: str, server: str, receiver: str) -> None:
        self._console.print()
        render.show_fields(
            [("Simulated provider", provider), ("reelhook", server), ("Receiver", receiver)],
            width=_NAME_WIDTH,
        )

    def created(self, job: dict[str, Any]) -> None:
        render.show_fields([("Job", job["jobId"]), ("Title", job["title"])], width=_NAME_WIDTH)
        self._console.print()

    @contextmanager
    def running(self) -> Iterator[None]:
        with progress_bar() as self._bar:
            self._bar.add_task("", total=100)
            yield
        self._bar = None

    def progress(self, status: str, percent: int) -> None:
        if self._bar is not None:
            show_progress(self._bar, self._bar.task_ids[0], status, percent)

    def webhook(self, webhook: "Webhook") -> None:
        name, state, signature = _webhook_columns(webhook)
        line = Text.assemble(
            ("📨 " + name, "bold"),
            "  ",
            (state, render.STATUS_STYLES.get(str(webhook.body.get("status")), "")),
            "  ",
            ("✓ " + signature, "green") if webhook.verified else ("✗ " + signature, "red"),
        )
        if webhook.verified:
            self.progress(str(webhook.body["status"]), int(webhook.body["progress"]))
        (self._bar.console if self._bar else self._console).print(line)

    def finish(self, video: "CheckedVideo", webhooks: int) -> None:
        self._console.print()
        self._console.print(
            Text.assemble("🎬 ", (str(video.path.resolve()), "bold")), soft_wrap=True
        )
        self._console.print(Text(f"   {video.summary()}, {video.frames} frames decoded", "dim"))
        self._console.print(
            Text(f"✅ {webhooks} webhooks, every signature verified, the last one exactly once")
        )
        self._console.print()
        width = max(len(command) for command, _ in _NEXT)
        for number, (command, purpose) in enumerate(_NEXT):
            line = Text.assemble(
                "Next   " if number == 0 else "       ",
                (f"{program()} {command:<{width}}", "bold"),
                (f"   {purpose}", "dim"),
            )
            self._console.print(line, soft_wrap=True)
