"""A remix at a server of `/v1/videos`: paid for once, with what the official client sends."""

import pytest

from providers.paying import SUBMIT_SECONDS, PaysOnce
from providers.upstreams import Upstream
from reelhook.domain.report import Accepted, InDoubt, Progress, Refused
from reelhook.domain.request import VideoRequest
from reelhook.providers.openai.provider import OpenAI

REMIX = VideoRequest("At night", model="m", seconds="8", size="64x64", remix_of="video_1")
QUEUED = {"id": "video_2", "status": "queued", "progress": 0, "remixed_from_video_id": "video_1"}


class TestRemixPaysOnce(PaysOnce):
    def provider(self, base: str) -> OpenAI:
        return OpenAI(base, "sk-test", submit_timeout_seconds=SUBMIT_SECONDS)

    def request_(self) -> VideoRequest:
        return REMIX


async def test_only_the_prompt_is_sent(server: Upstream, wire: OpenAI) -> None:
    server.answers(200, QUEUED)
    assert await wire.submit(REMIX) == Accepted("video_2", Progress(running=False, percent=0))
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/videos/video_1/remix")
    assert seen.headers["Authorization"] == "Bearer sk-test"
    assert seen.json() == {"prompt": "At night"}


@pytest.mark.parametrize("status", [404, 405, 415, 422])
async def test_a_server_without_remix_is_asked_once(
    server: Upstream, wire: OpenAI, status: int
) -> None:
    server.answers(status, {"error": {"message": "prompt is missing"}})
    assert isinstance(await wire.submit(REMIX), Refused)
    assert server.posts == 1


async def test_a_lost_response_is_in_doubt(server: Upstream, wire: OpenAI) -> None:
    server.answers(500, {"error": {"message": "no"}})
    assert isinstance(await wire.submit(REMIX), InDoubt)


async def test_an_id_that_fits_no_path_is_refused_unpaid(server: Upstream, wire: OpenAI) -> None:
    odd = VideoRequest("At night", remix_of="../models")
    assert isinstance(await wire.submit(odd), Refused)
    assert server.seen == []


@pytest.mark.parametrize(
    ("shown", "remix_of"),
    [({}, None), ({"remixed_from_video_id": None}, ""), (QUEUED, "video_1")],
)
async def test_an_entry_shows_what_it_remixes(
    server: Upstream, wire: OpenAI, shown: dict[str, object], remix_of: str | None
) -> None:
    server.answers(200, {"data": [{"id": "video_2", "status": "queued", **shown}]})
    [entry] = (await wire.page(None, 100)).entries
    assert entry.remix_of == remix_of


@pytest.mark.parametrize(
    ("kind", "title"),
    [("sglang", "SGLang Diffusion"), ("litellm", None), ("unknown", None)],
)
async def test_a_kind_of_server_may_be_known_to_lack_it(
    server: Upstream, wire: OpenAI, kind: str, title: str | None
) -> None:
    server.answers(503)  # it can't be asked now, so its kind is the one that was learnt
    wire.learnt = f'{{"kind": "{kind}"}}'
    assert await wire.lacks_remix() == title
