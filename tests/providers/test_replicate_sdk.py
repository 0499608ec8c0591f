"""Replicate's own SDK as a second opinion: what it sends, and how it reads progress."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replicate.client import Client
from replicate.prediction import Prediction

from providers.test_replicate import VERSION, prediction
from providers.upstreams import Upstream
from reelhook.domain.report import Progress
from reelhook.domain.request import VideoRequest
from reelhook.providers.replicate.prediction import report
from reelhook.providers.replicate.provider import Replicate

EVENTS = ["start", "completed"]
INPUT = {"prompt": "A fox", "duration": 8}


@pytest.fixture
async def client(server: Upstream) -> AsyncIterator[Client]:
    client = Client(api_token="r8_key", base_url=server.url)
    yield client
    await client._async_client.aclose()


@pytest.mark.parametrize("model", ["google/veo-3-fast", VERSION])
async def test_what_is_sent_is_what_the_sdk_sends(
    server: Upstream, client: Client, model: str
) -> None:
    server.answers(201, prediction())
    hook = "https://example.com/hook"
    if model == VERSION:
        await client.predictions.async_create(
            VERSION, INPUT, webhook=hook, webhook_events_filter=EVENTS
        )
    else:
        await client.models.predictions.async_create(
            model, INPUT, webhook=hook, webhook_events_filter=EVENTS
        )
    async with Replicate(f"{server.url}/v1", "r8_key") as replicate:
        request = VideoRequest(prompt="A fox", model=model, seconds="8")
        await replicate.submit(request, callback_url=hook)
        await replicate.cancel("p1")
        await client.predictions.async_cancel("p1")
        await replicate.get("p1")
        await client.predictions.async_get("p1")
    theirs, ours, our_cancel, their_cancel, our_get, their_get = server.seen
    assert (ours.method, ours.path, ours.json()) == (theirs.method, theirs.path, theirs.json())
    assert ours.headers["Authorization"] == theirs.headers["Authorization"]
    assert (our_cancel.method, our_cancel.path) == (their_cancel.method, their_cancel.path)
    assert (our_get.method, our_get.path) == (their_get.method, their_get.path)


bars = st.builds(
    "{}{:3}%|{}| {}/{} [00:01<00:02]{}".format,
    st.sampled_from(["", "  ", "step ", "\t"]),
    st.integers(0, 100),
    st.sampled_from(["██ ", "", " ", "x|y"]),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["", "\r 50%|x| 1/2", "\r"]),
)


@given(st.lists(bars | st.text(max_size=20) | st.sampled_from(["", "50%", "7%|"]), max_size=6))
def test_progress_is_read_from_logs_as_the_sdk_reads_it(lines: list[str]) -> None:
    logs = "\n".join(lines)
    theirs = Prediction.Progress.parse(logs)
    ours = report({"status": "processing", "logs": logs})
    assert isinstance(ours, Progress)
    assert ours.percent == (None if theirs is None else round(100 * theirs.percentage))
