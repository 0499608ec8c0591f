import json
import resource
import subprocess
from pathlib import Path

import av
import pytest
from cli_programs import COMMAND, WAIT_SECONDS, environment, on_terminal, reelhook

pytestmark = pytest.mark.long


def cpu_seconds() -> float:
    """Return the CPU time of all programs that this process has started, and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_demo_shows_a_job_from_request_to_webhook_and_video(tmp_path: Path) -> None:
    terminal, document = tmp_path / "terminal", tmp_path / "document"
    terminal.mkdir()
    document.mkdir()
    # Whatever the user has configured, the demo neither uses nor touches it.
    odd = {"PORT": "nonsense", "DATABASE_URL": "sqlite:///mine.db", "REELHOOK_API_KEY": "k"}
    before = cpu_seconds()
    with subprocess.Popen(
        [*COMMAND, "demo", "A fox in the snow", "--json", "--output", "fox.mp4"],
        cwd=document,
        env=environment(**odd),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as beside:
        code, shown = on_terminal("demo", directory=terminal, **odd)
        out, err = beside.communicate(timeout=WAIT_SECONDS)
    # In a minute, says the README. A busy machine lets it wait, so its own time is what counts.
    assert cpu_seconds() - before < 30
    assert (code, beside.returncode, err) == (0, 0, b"")
    _check_shown(shown, terminal)
    _check_document(json.loads(out), document)


def _check_shown(shown: str, directory: Path) -> None:
    assert "━━━━" in shown
    assert "Webhook  1" in shown
    assert "✓ signature verified" in shown
    assert str(directory / "reelhook-demo.mp4") in shown
    assert "reelhook demo --dashboard" in shown
    assert "reelhook serve --simulate" in shown
    assert [path.name for path in directory.iterdir()] == ["reelhook-demo.mp4"]


def _check_document(told: dict[str, object], directory: Path) -> None:
    assert [path.name for path in directory.iterdir()] == ["fox.mp4"]
    assert told["path"] == str(directory / "fox.mp4")
    webhooks = told["webhooks"]
    assert isinstance(webhooks, list)
    assert [body["sequence"] for body in webhooks] == sorted(body["sequence"] for body in webhooks)
    assert [body["status"] for body in webhooks].count("completed") == 1
    assert webhooks[-1]["status"] == "completed"
    with av.open(str(directory / "fox.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in video.decode(video=0)) > 24


def test_a_place_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    outcome = reelhook("demo", "--output", "no/such/video.mp4", directory=tmp_path)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "--output" in outcome.err
