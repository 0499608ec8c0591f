"""The log lines that facts become: stable names in JSON, sentences on a terminal."""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
import structlog
from structlog.testing import capture_logs

from reelhook.core.facts import (
    EndpointChanged,
    EndpointLocked,
    Fact,
    JobCreated,
    JobEnded,
    JobFellBack,
    JobPolled,
    JobProgressed,
    LeaseLost,
    LeaseReleased,
    LeaseTaken,
    RoundFinished,
    RoundStarted,
    SubmitDecided,
    WatchingChanged,
    WebhookAttempted,
    WebhookDeferred,
    emitter,
)
from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import Attempt, Delivery, WebhookResponse
from reelhook.domain.endpoint import Endpoint, EndpointKind, shown_url
from reelhook.domain.job import Job, Status
from reelhook.domain.report import Accepted
from reelhook.ports import Lease
from reelhook.telemetry import facts
from reelhook.telemetry.facts import log_fact
from reelhook.telemetry.lines import configure

URL = "https://your-client.com/webhooks/sora-status"
JOB = Job("job-123", "openai", Status.QUEUED, 0, 0, provider_job_id="video_abc123")
COMPLETED = replace(JOB, status=Status.COMPLETED, progress=100)
ENDPOINT = Endpoint("ep_1", EndpointKind.REGISTERED, URL, trusted=False, created_at=0)
FAILING = replace(ENDPOINT, health=CircuitBreaker(failures=5, probe_due_at=1))
DELIVERY = Delivery(id=7, job_id="job-123", endpoint_id="ep_1", due_at=0)
LEASE = Lease("account:openai", 4)


def attempted(status: int) -> WebhookAttempted:
    response = WebhookResponse(duration_ms=31, status=status)
    attempt = Attempt(7, "evt_job-123_3-44bdca0668c7", 3, 1, 0, response)
    return WebhookAttempted(ENDPOINT, DELIVERY, attempt, replace(DELIVERY, due_at=60_000))


SORA = {
    JobCreated(JOB, None): "Registered Sora job: job-123 -> video_abc123",
    JobEnded(COMPLETED): "Sora job completed: video_abc123",
    JobEnded(replace(JOB, status=Status.FAILED)): "Sora job failed: video_abc123",
    JobPolled("video_abc123"): "Polling Sora job: video_abc123",
    RoundStarted("openai", 2): "Polling 2 Sora job(s)...",
    WatchingChanged(paused=True): "Sora polling service paused",
    WatchingChanged(paused=False): "Sora polling service resumed",
}
"""The sentences of the first client, which are the event in JSON too."""
NAMED = {
    JobProgressed(JOB, COMPLETED): "job.progressed",
    JobFellBack(JOB, "fal/fal-ai/veo2", "No money"): "submit.fallback",
    SubmitDecided(JOB, Accepted("video_abc123")): "submit.outcome",
    RoundFinished("openai", 2, 150): "round.finished",
    attempted(204): "webhook.sent",
    attempted(500): "webhook.failed",
    WebhookDeferred(ENDPOINT, DELIVERY, "no socket left"): "webhook.deferred",
    EndpointChanged(ENDPOINT, FAILING): "endpoint.failing",
    EndpointChanged(FAILING, ENDPOINT): "endpoint.recovered",
    EndpointLocked(ENDPOINT): "endpoint.locked",
    LeaseTaken(LEASE): "lease.taken",
    LeaseLost(LEASE): "lease.lost",
    LeaseReleased(LEASE): "lease.released",
}


class Lines:
    """Writes the line of a fact, each by a logger of its own: loggers keep their first stream."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def text(self, fact: Fact, *, tty: bool = True) -> str:
        stream = io.StringIO()
        configure(verbose=True, stream=stream, tty=tty)
        self._patch.setattr(facts, "log", structlog.get_logger())
        log_fact(fact)
        return stream.getvalue().rstrip("\n")

    def json(self, fact: Fact) -> Any:
        return json.loads(self.text(fact, tty=False))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield Lines(monkeypatch)
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


def test_every_kind_of_fact_has_a_line() -> None:
    assert {type(fact) for fact in SORA | NAMED} == set(get_args(Fact))


@pytest.mark.parametrize(("fact", "sentence"), SORA.items())
def test_the_first_clients_sentences_stay_and_have_a_stable_name_too(
    lines: Lines, fact: Fact, sentence: str
) -> None:
    line = lines.json(fact)
    assert line["event"] == sentence
    assert re.fullmatch(r"[a-z]+\.[a-z]+", line["fact"])
    shown = lines.text(fact)
    assert sentence in shown
    assert line["fact"] not in shown


@pytest.mark.parametrize(("fact", "name"), NAMED.items())
def test_all_other_names_are_stable(lines: Lines, fact: Fact, name: str) -> None:
    line = lines.json(fact)
    assert line["event"] == name
    assert "message" not in line


def test_a_webhook_attempt_is_one_line_with_every_id(lines: Lines) -> None:
    line = lines.json(attempted(500))
    del line["time"]
    assert line == {
        "level": "warning",
        "event": "webhook.failed",
        "job": "job-123",
        "delivery": 7,
        "endpoint": "ep_1",
        "url": shown_url(URL),
        "webhook_id": "evt_job-123_3-44bdca0668c7",
        "attempt": 1,
        "probe": False,
        "status": 500,
        "duration_ms": 31,
        "error": None,
        "detail": None,
        "next_at": 60_000,
    }


def test_on_a_terminal_an_attempt_is_the_sentence_with_its_url_once(lines: Lines) -> None:
    shown = lines.text(attempted(204))
    assert shown.startswith(f"   ✅ Webhook sent: {shown_url(URL)}")
    assert shown.count(shown_url(URL)) == 1
    assert "webhook.sent" not in shown


def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_work() -> None:
    seen: list[Fact] = []

    def broken(fact: Fact) -> None:
        raise ValueError(fact)

    with capture_logs() as logs:
        emitter(broken, seen.append)(LeaseLost(LEASE))
    assert seen == [LeaseLost(LEASE)]
    assert [(line["event"], line["kind"]) for line in logs] == [("fact.unreported", "LeaseLost")]
