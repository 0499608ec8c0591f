"""Whether the simulator plays each server of `/v1/videos` as it was recorded."""

import json
import re

import aiohttp
import pytest

from reelhook.simulator.flavour import OUT_OF_MEMORY, Flavour
from reelhook.simulator.flavours import FLAVOURS
from simulator.flavour_probes import PROBES, Probe
from simulator.flavour_stage import KEY, playing

pytestmark = pytest.mark.long

EVERY = [pytest.param(one, id=name) for name, one in FLAVOURS.items()]
LISTING = [one for one in FLAVOURS.values() if one.listing is not None]


@pytest.mark.parametrize("name", FLAVOURS)
async def test_it_answers_what_was_recorded_of_the_server(name: str) -> None:
    different = []
    async with playing(FLAVOURS[name]) as stage:
        for probe in PROBES[name]:
            status, body = await probe.sent(stage.session, stage.server.base_url)
            if status != probe.status or probe.words not in _compact(body):
                different.append((probe.name, status, body))
    assert different == []


def test_probes_are_recorded_of_every_server() -> None:
    assert PROBES.keys() == FLAVOURS.keys()
    assert all(isinstance(one, Probe) for probes in PROBES.values() for one in probes)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("sglang", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("vllm-omni", r"video_gen_[0-9a-f]{32}"),
        ("fastvideo", r"[0-9a-f]{32}"),
        ("aquiles", r"video_[0-9a-f]{12}"),
        ("tensorrt-llm", r"video_[0-9a-f]{32}"),
        ("litellm", r"video_[A-Za-z0-9+/]{100,}=*"),
    ],
)
async def test_ids_have_the_servers_form(name: str, pattern: str) -> None:
    async with playing(FLAVOURS[name]) as stage:
        video = await stage.create()
        assert re.fullmatch(pattern, video["id"]), video["id"]
        assert (await stage.ask("GET", f"videos/{video['id']}"))[1]["id"] == video["id"]


# The words and percents after 0, 6 and 60 seconds; a render takes from the 1st to the 11th.
SEEN = {
    "sglang": [("queued", 0), ("in_progress", 50), ("completed", 100)],
    "vllm-omni": [("queued", 0), ("in_progress", 0), ("completed", 100)],
    "fastvideo": [("queued", 0), ("queued", 0), ("completed", 100)],
    "aquiles": [("queued", 0), ("processing", 50), ("completed", 100)],
    "tensorrt-llm": [("queued", None), ("generating", None), ("completed", None)],
    "litellm": [("queued", 0), ("in_progress", 0), ("completed", 100)],
}


@pytest.mark.parametrize("flavour", EVERY)
async def test_a_job_is_told_in_the_servers_words(flavour: Flavour) -> None:
    async with playing(flavour) as stage:
        video = await stage.create()
        seen = [(video["status"], video["progress"])]
        for seconds in (6, 54):
            stage.clock.seconds += seconds
            video = (await stage.ask("GET", f"videos/{video['id']}"))[1]
            seen.append((video["status"], video["progress"]))
        assert seen == SEEN[flavour.name]
        status, content = await stage.ask("GET", f"videos/{video['id']}/content")
        assert (status, content[4:8]) == (200, b"ftyp")


@pytest.mark.parametrize("flavour", EVERY)
async def test_an_engines_failure_is_told_in_its_words(flavour: Flavour) -> None:
    async with playing(flavour, broken=1) as stage:
        video = await stage.create()
        await stage.ended()
        status, told = await stage.ask("GET", f"videos/{video['id']}")
        assert status == flavour.failed_status
        assert OUT_OF_MEMORY in json.dumps(told)
        assert "failed" in json.dumps(told)


@pytest.mark.parametrize("flavour", LISTING, ids=lambda one: one.name)
async def test_a_listing_shows_the_newest_first_but_not_within_one_second(flavour: Flavour) -> None:
    faults = {"render_seconds": 0, "queue_seconds": 0}  # for one of them takes one job at a time
    async with playing(flavour, **faults) as stage:
        ids = [(await stage.create())["id"] for _ in range(2)]
        stage.clock.seconds += 1
        ids.append((await stage.create())["id"])
        listing = (await stage.ask("GET", "videos?limit=2&order=desc"))[1]
        shown = [video["id"] for video in listing["data"]]
        if flavour.name == "tensorrt-llm":
            assert shown == ids
        else:
            assert shown == [ids[2], ids[0]]
        has_more = {"fastvideo": None, "tensorrt-llm": None}.get(flavour.name, True)
        assert listing.get("has_more") is has_more


@pytest.mark.parametrize("flavour", LISTING, ids=lambda one: one.name)
async def test_an_unknown_cursor_gives_an_empty_page_or_the_top(flavour: Flavour) -> None:
    async with playing(flavour, render_seconds=0, queue_seconds=0) as stage:
        await stage.create()
        listing = (await stage.ask("GET", "videos?after=none"))[1]
        assert len(listing["data"]) == (flavour.name in {"aquiles", "tensorrt-llm"})


@pytest.mark.parametrize("flavour", LISTING, ids=lambda one: one.name)
async def test_prompts_are_listed_or_not(flavour: Flavour) -> None:
    async with playing(flavour) as stage:
        await stage.create(prompt="A fox in the snow")
        (video,) = (await stage.ask("GET", "videos"))[1]["data"]
        shown = None if flavour.name in {"sglang", "fastvideo"} else "A fox in the snow"
        assert video.get("prompt") == shown


@pytest.mark.parametrize("flavour", EVERY)
async def test_deleting_forgets_a_job_where_there_is_such_a_route(flavour: Flavour) -> None:
    async with playing(flavour) as stage:
        video = await stage.create()
        status, told = await stage.ask("DELETE", f"videos/{video['id']}")
        if flavour.deleting is None:
            assert status == 405
            return
        assert status == 200
        assert told.get("deleted") or told["status"] == "deleted"
        assert (await stage.ask("GET", f"videos/{video['id']}"))[0] == 404


async def test_a_deleted_job_keeps_the_one_engine_busy() -> None:
    async with playing(FLAVOURS["aquiles"]) as stage:
        video = await stage.create()
        await stage.ask("DELETE", f"videos/{video['id']}")
        assert (await stage.ask("POST", "videos", json={"prompt": "x"}))[0] == 503
        await stage.ended()
        assert (await stage.ask("POST", "videos", json={"prompt": "x"}))[0] == 200


@pytest.mark.parametrize("flavour", EVERY)
async def test_a_restart_forgets_jobs_and_their_files(flavour: Flavour) -> None:
    async with playing(flavour) as stage:
        video = await stage.create()
        await stage.ended()
        async with stage.session.post(f"{stage.server.root_url}/simulator/restart", headers=KEY):
            pass
        assert (await stage.ask("GET", f"videos/{video['id']}"))[0] == 404
        lost = 500 if flavour.name == "aquiles" else 404
        assert (await stage.ask("GET", f"videos/{video['id']}/content"))[0] == lost
        if flavour.listing is not None:
            assert (await stage.ask("GET", "videos"))[1]["data"] == []


@pytest.mark.parametrize("flavour", EVERY)
async def test_without_an_engine_creates_are_refused_or_their_jobs_fail(flavour: Flavour) -> None:
    async with playing(flavour, engine_dead=True) as stage:
        if flavour.dead is None:
            video = await stage.create()
            await stage.ended()
            assert "failed" in json.dumps((await stage.ask("GET", f"videos/{video['id']}"))[1])
            return
        status, told = await stage.ask("POST", "videos", json={"prompt": "x"})
        assert (status, told) == (503, {"error": flavour.dead.message})
        assert (await stage.ask("GET", "../health"))[0] == 503


@pytest.mark.parametrize("flavour", EVERY)
async def test_a_part_of_a_file_can_be_fetched_where_the_server_knows_ranges(
    flavour: Flavour,
) -> None:
    async with playing(flavour) as stage:
        video = await stage.create()
        await stage.ended()
        url = f"{stage.server.base_url}/videos/{video['id']}/content"
        async with stage.session.get(url, headers={**KEY, "Range": "bytes=0-99"}) as response:
            assert response.status == (206 if flavour.ranges else 200)
            assert (len(await response.read()) == 100) is flavour.ranges


@pytest.mark.parametrize("flavour", EVERY)
async def test_a_lost_create_is_carried_out(flavour: Flavour) -> None:
    async with playing(flavour, lost_create=1) as stage:
        with pytest.raises(aiohttp.ClientError):
            await stage.create()
        assert len(stage.server.simulator.jobs) == 1


@pytest.mark.parametrize("flavour", EVERY)
async def test_its_models_say_who_owns_them(flavour: Flavour) -> None:
    async with playing(flavour) as stage:
        (model,) = (await stage.ask("GET", "models"))[1]["data"]
        assert (model["id"], model["owned_by"]) == (flavour.models[0], flavour.owned_by)


def _compact(body: str) -> str:
    try:
        return json.dumps(json.loads(body), separators=(",", ":"))
    except ValueError:
        return body
