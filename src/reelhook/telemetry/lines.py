"""The format of log lines: sentences, emoji and colour on a terminal, otherwise JSON.

`event` is the stable name of a line. A terminal shows its `message` instead, if it has one.
`serve` logs to stdout, as the first client's server did, so that `reelhook serve | jq .event`
works. Other commands log to stderr, because stdout carries their result.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import FrameType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from reelhook.telemetry.log_limit import DatabaseLines

HIDDEN = "[hidden]"
SECRET_LENGTH_MIN = 8
"""Hiding a shorter secret would hide common words too, and make lines unreadable."""

_SECRET_KEY = re.compile(
    r"secret|authorization|(api|private|encryption)_?key|password|token|cookie", re.IGNORECASE
)
_SECRET_TEXTS = (
    # A text without which the pattern is not tried, the pattern, and its replacement.
    ("://", re.compile(r"://[^/\s\"'@]+@"), f"://{HIDDEN}@"),
    ("?", re.compile(r"(?i)([?&][\w-]*(?:signature|token|key|secret|password)=)[^&\s\"']+"), None),
    ("whsec_", re.compile(r"(whsec_)[\w+/=-]+"), None),
    ("whsk_", re.compile(r"(whsk_)[\w+/=-]+"), None),
    ("rhek_", re.compile(r"(rhek_)[\w+/=-]+"), None),
    ("earer ", re.compile(r"(?i)(bearer )[^\s\"',]+"), None),
    ("sk-", re.compile(r"\b(sk-)[\w-]{8,}"), None),
)
_ID_LENGTH_MIN = 6
_WIDE = "\N{VARIATION SELECTOR-16}"
_PLAIN, _DIM, _YELLOW, _RED = "\x1b[0m", "\x1b[2m", "\x1b[33m", "\x1b[31m"
_LEVEL_COLOURS = {"warning": _YELLOW, "error": _RED, "critical": _RED}
_LEVEL_EMOJI = {"warning": "⚠️", "error": "❌", "critical": "❌"}

Renderer = Callable[[str, EventDict], str]
"""Makes a line from the name of a level and the fields that were logged."""


def configure(
    verbose: bool,
    stream: TextIO,
    tty: bool | None = None,
    *,
    secrets: Iterable[str | None] = (),
) -> None:
    """Send structlog's and the standard library's log lines to `stream`.

    `verbose` turns on the detailed lines. `secrets` are hidden wherever they appear.
    """
    sink = _Sink(stream, hider(secrets))
    on_terminal = stream.isatty() if tty is None else tty
    render = terminal_renderer(stream) if on_terminal else render_json
    level = logging.DEBUG if verbose else logging.INFO
    structlog.configure(
        processors=[DatabaseLines(), _hide_keys, _finish(render)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        # Uvicorn's start and stop lines repeat ours.
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)


def defer_to_host() -> None:
    """Pass reelhook's lines to the standard library's loggers, unless structlog is configured.

    The host program then decides about them. structlog's defaults would print every detail, with
    the values of variables, to the host's stdout. The host's own structlog lines do not change.
    """
    if structlog.is_configured():
        return
    usual, print_logger = (structlog.get_config()[key] for key in ("processors", "logger_factory"))

    def logger_of_caller(*arguments: object) -> object:
        name = _caller()
        ours = name.partition(".")[0] == __name__.partition(".")[0]
        return logging.getLogger(name) if ours else print_logger(*arguments)

    structlog.configure(processors=[_route(list(usual))], logger_factory=logger_of_caller)


def _caller() -> str:
    """Return the name of the module that logs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != __name__ and not name.startswith("structlog."):
            return name
        frame = frame.f_back
    return ""


def _route(usual: Iterable[Processor]) -> Processor:
    def route(logger: Any, method: str, event: EventDict) -> Any:
        if not isinstance(logger, logging.Logger):
            result: Any = event
            for processor in usual:
                result = processor(logger, method, result)
            return result
        if not logger.isEnabledFor(logging.getLevelNamesMapping().get(method.upper(), 0)):
            raise structlog.DropEvent
        return _host_line(event)

    return route


def _host_line(event: EventDict) -> tuple[tuple[str], dict[str, Any]]:
    """Return the arguments for a logger of the standard library."""
    exc_info = event.pop("exc_info", None)
    event.pop("emoji", None)
    text = _text(event).strip()
    shown = (f"{key}={_shown(value)}" for key, value in _hide_keys(None, "", event).items())
    return (hider(())(" ".join([printable(text), *shown])),), {"exc_info": exc_info}


class _Sink:
    """Writes lines to a stream. A reader that closes its end must not stop the server."""

    def __init__(self, stream: TextIO, hide: Callable[[str], str]) -> None:
        self._stream = stream
        self._hide = hide

    def msg(self, line: str) -> None:
        try:
            self._stream.write(self._hide(line) + "\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self.msg(line.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):  # a closed pipe, a closed file
            return

    debug = info = warning = error = critical = exception = log = msg


class _ToStructlog(logging.Handler):
    """Passes on the standard library's records, so that all log lines have the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


# -- hiding ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _is_secret_key(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _hide_keys(_logger: object, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if value is not None and _is_secret_key(key):
            event[key] = HIDDEN
        elif isinstance(value, Mapping):
            event[key] = {
                name: HIDDEN if _is_secret_key(str(name)) else inner
                for name, inner in value.items()
            }
    return event


def hider(secrets: Iterable[str | None]) -> Callable[[str], str]:
    """Return a function that hides these secrets, and similar texts, in a line."""
    known = [secret for secret in secrets if secret and len(secret) >= SECRET_LENGTH_MIN]
    # JSON escapes some characters.
    spelled = {form for secret in known for form in (secret, _json_text(secret)[1:-1])}

    def hide(line: str) -> str:
        for secret in spelled:
            line = line.replace(secret, HIDDEN)
        for sign, pattern, replacement in _SECRET_TEXTS:
            if sign in line:
                line = pattern.sub(replacement or rf"\g<1>{HIDDEN}", line)
        return line

    return hide


# -- rendering ------------------------------------------------------------------------------------


_json_text = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _finish(render: Renderer) -> Callable[[object, str, EventDict], str]:
    def finish(_logger: object, method: str, event: EventDict) -> str:
        exc_info = event.pop("exc_info", None)
        if exc_info:
            event["exception"] = _traceback(exc_info)
        return render(method, event)

    return finish


def _traceback(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        return "".join(traceback.format_exception(exc_info)).rstrip()
    if isinstance(exc_info, tuple):
        return "".join(traceback.format_exception(*exc_info)).rstrip()
    return traceback.format_exc().rstrip()


def render_json(level: str, event: EventDict) -> str:
    """Return one line of JSON, without emoji and indentation."""
    event.pop("emoji", None)
    event.pop("message", None)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name = str(event.pop("event", "")).strip()
    return _json_text({"time": now, "level": level, "event": name, **event})


def terminal_renderer(stream: TextIO) -> Renderer:
    """Return the renderer for a terminal, with emoji and colour if the terminal shows them."""
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    emoji = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")

    def paint(colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if colours and colour and text else text

    def render(level: str, event: EventDict) -> str:
        sign = event.pop("emoji", None) or _LEVEL_EMOJI.get(level, "")
        message, trace = printable(_text(event)), event.pop("exception", None)
        text = message.lstrip(" ")
        indent = message[: len(message) - len(text)]
        line = indent + _sign(sign if emoji else "") + paint(_LEVEL_COLOURS.get(level, ""), text)
        shown = ((key, _shown(value)) for key, value in event.items())
        extra = " ".join(f"{key}={value}" for key, value in shown if not _repeats(value, message))
        line += paint(_DIM, "  " + extra) if extra else ""
        return "\n".join([line, *map(printable, str(trace).splitlines())]) if trace else line

    return render


def _sign(emoji: str) -> str:
    # Many terminals give an emoji with a selector only one column, so add a space.
    return emoji and emoji + ("  " if emoji.endswith(_WIDE) else " ")


def _text(event: EventDict) -> str:
    """Remove from the event, and return, the text for a person. Also remove fields for machines."""
    name, message = event.pop("event", ""), event.pop("message", None)
    event.pop("fact", None)
    return str(name if message is None else message)


def _repeats(value: str, message: str) -> bool:
    """Return True if the message already has this id or URL. Short values could match by chance."""
    return not value or (len(value) >= _ID_LENGTH_MIN and value in message)


def _shown(value: object) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """Escape characters that could move the cursor or forge a line: some texts are not ours."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
