import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from reelhook.telemetry import lines as logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers, config = before[0], before[2]
    root.setLevel(before[1])
    structlog.configure(**config)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_terminal_shows_the_inherited_lines_in_their_own_words(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    logs.configure(True, stream, tty=True)
    log = structlog.get_logger()
    log.info("Starting Sora API polling service...", emoji="🔍")
    log.info("Sora polling service started (interval: 5000ms)", emoji="✅")
    log.info(
        "Registered Sora job: job-123 -> video_abc123",
        emoji="📝",
        job="job-123",
        provider_job="video_abc123",
    )
    log.info("   Webhook: https://your-client.com/webhooks/sora-status", emoji=None)
    log.debug("Polling 2 Sora job(s)...", emoji="🔄")
    log.debug("Polling Sora job: video_abc123", emoji="📡")
    log.debug("   Status: queued → processing (Progress: 0% → 25%)")
    log.debug("   Webhook sent: https://your-client.com/webhooks/sora-status", emoji="✅")
    log.info("Sora job completed: video_abc123", emoji="✅", provider_job="video_abc123")
    log.info("Sora polling service stopped", emoji="⏹️")
    assert stream.getvalue().splitlines() == [
        "🔍 Starting Sora API polling service...",
        "✅ Sora polling service started (interval: 5000ms)",
        "📝 Registered Sora job: job-123 -> video_abc123",
        "   Webhook: https://your-client.com/webhooks/sora-status",
        "🔄 Polling 2 Sora job(s)...",
        "📡 Polling Sora job: video_abc123",
        "   Status: queued → processing (Progress: 0% → 25%)",
        "   ✅ Webhook sent: https://your-client.com/webhooks/sora-status",
        "✅ Sora job completed: video_abc123",
        "⏹️  Sora polling service stopped",
    ]


def test_a_terminal_shows_colour_and_what_the_words_do_not_say(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    logs.configure(False, stream, tty=True)
    structlog.get_logger().warning("Webhook failed", attempt=2, status=None)
    assert stream.getvalue() == "⚠️  \x1b[33mWebhook failed\x1b[0m\x1b[2m  attempt=2\x1b[0m\n"


def test_elsewhere_a_line_is_one_json_object_without_emoji_and_indentation(
    stream: io.StringIO,
) -> None:
    logs.configure(False, stream)
    structlog.get_logger().info("   Webhook sent: é", emoji="✅", job="job-1", attempt=2)
    (entry,) = entries(stream)
    assert str(entry.pop("time")).endswith("Z")
    assert entry == {"level": "info", "event": "Webhook sent: é", "job": "job-1", "attempt": 2}


@pytest.mark.parametrize(("verbose", "expected"), [(False, 0), (True, 1)])
def test_detailed_lines_appear_only_when_asked_for(
    stream: io.StringIO, verbose: bool, expected: int
) -> None:
    logs.configure(verbose, stream)
    structlog.get_logger().debug("Polling 2 Sora job(s)...")
    assert len(entries(stream)) == expected


@pytest.mark.parametrize("tty", [False, True])
def test_no_line_shows_a_secret(stream: io.StringIO, tty: bool) -> None:
    logs.configure(False, stream, tty=tty, secrets=[None, 'hunter2-"quoted"', "shrt"])
    log = structlog.get_logger()
    log.info("made", webhook_secret="hunter2", api_key="hunter2", OPENAI_API_KEY="hunter2")
    log.info("asked", headers={"Authorization": "Bearer hunter2", "Accept": "shrt"})
    log.warning('refused: hunter2-"quoted" is wrong', detail='key hunter2-"quoted"')
    log.warning("Webhook failed: https://me:hunter2@a.example/hook?x=1&access_token=hunter2")
    log.warning("echo", body="Authorization: Bearer hunter2, key sk-hunter2-hunter2 whsec_hunter2")
    log.warning("whsk_hunter2 was copied", private_key="hunter2")
    log.warning("rhek_hunter2 was copied", encryption_key="hunter2", encryption_keys="hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "a.example/hook?x=1" in stream.getvalue()
    assert "shrt" in stream.getvalue()


def test_words_of_others_cannot_move_the_cursor_or_forge_a_line(stream: io.StringIO) -> None:
    logs.configure(False, stream, tty=True)
    structlog.get_logger().info("odd", reason="\x1b[2Jcleared\n✅ Sora job completed")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in stream.getvalue()


def test_an_error_brings_its_traceback(stream: io.StringIO) -> None:
    logs.configure(False, stream)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger().exception("loop.failed", loop="watch")
    (entry,) = entries(stream)
    assert entry["level"] == "error"
    assert str(entry["exception"]).endswith("'broken'")


def test_other_loggers_take_the_same_form(stream: io.StringIO) -> None:
    logs.configure(False, stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").error("odd %s", "request")
    (entry,) = entries(stream)
    assert (entry["event"], entry["logger"]) == ("odd request", "uvicorn.error")


def test_a_reader_that_went_away_does_not_stop_the_server(stream: io.StringIO) -> None:
    logs.configure(False, stream)
    stream.close()
    structlog.get_logger().info("still here")


def test_a_terminal_without_unicode_still_gets_its_lines() -> None:
    raw = io.BytesIO()
    logs.configure(False, io.TextIOWrapper(raw, encoding="ascii"), tty=True)
    structlog.get_logger().info("Status: queued → processing", emoji="📡")
    assert raw.getvalue().decode() == "Status: queued \\u2192 processing\n"
