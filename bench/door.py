"""reelhook's `/v1/videos` next to LiteLLM's proxy: `python -m bench.door`, or `make bench-door`.

Both are one process in front of the same simulator, which renders nothing during the run. The same
client sends them the same requests in turns, in pairs; the medians of the pairs' ratios count.
reelhook looks each key up in its database; LiteLLM needs no database for its master key, and no
table of jobs: the ids of its videos contain the account. LITELLM names its executable. Exits 1
unless reelhook handles 12 times as many retrieves a second and 4 times as many creates, with a
third of the memory. The memory is read after the retrieves, when both have made as many videos.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import shutil
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.bare_client import Check, Connection, rate, request
from bench.figures import Figures
from bench.processes import Server, free_port
from bench.stage import RESULTS, until

RETRIEVE_RATIO_MIN = 12.0
CREATE_RATIO_MIN = 4.0
MEMORY_SHARE_MAX = 1 / 3
AT_ONCE = 16
"""The connections of the client."""
VIDEOS = 50
"""The videos that are retrieved in turn."""
WARM_UP_SECONDS = 1.0
QUIET_SECONDS_MAX = 120.0
KEY = "the operator's key of the benchmark"
MODEL = "sora-2"


@dataclass(slots=True)
class Door:
    """A server with `/v1/videos`, and a key for it. `ids` are those of all creates."""

    server: Server
    key: str
    ids: set[str] = field(default_factory=set)

    async def post(self, path: str, **content: Any) -> Any:
        connection = await Connection.to(self.server.url)
        try:
            body = json.dumps(content).encode()
            return await connection.send(request(self.server.url, "POST", path, self.key, body))
        finally:
            connection.close()

    async def get(self, path: str) -> Any:
        connection = await Connection.to(self.server.url)
        try:
            return await connection.send(request(self.server.url, "GET", path, self.key))
        finally:
            connection.close()

    async def create(self, count: int) -> None:
        connection = await Connection.to(self.server.url)
        try:
            for content, check in itertools.islice(self._creates(), count):
                check(await connection.send(content))
        finally:
            connection.close()

    async def creates_rate(self, seconds: float) -> float:
        return await rate(self.server.url, self._creates(), seconds=seconds, at_once=AT_ONCE)

    async def retrieves_rate(self, seconds: float) -> float:
        known = [self._retrieve(one) for one in sorted(self.ids)[:VIDEOS]]
        requests = itertools.cycle(known)
        return await rate(self.server.url, requests, seconds=seconds, at_once=AT_ONCE)

    def _creates(self) -> Iterator[tuple[bytes, Check]]:
        for number in itertools.count(len(self.ids)):
            content = {"model": MODEL, "prompt": f"A fox, {number}", "seconds": "4"}
            body = json.dumps(content).encode()
            yield request(self.server.url, "POST", "/v1/videos", self.key, body), self._created

    def _created(self, video: Any) -> None:
        assert (video["object"], video["status"]) == ("video", "queued"), video
        assert video["id"] not in self.ids, video
        self.ids.add(video["id"])

    def _retrieve(self, video_id: str) -> tuple[bytes, Check]:
        def check(video: Any) -> None:
            assert video["object"] == "video", video
            assert video["status"] in {"queued", "in_progress"}, video
            assert self.meaning(video["id"]) == meaning, video

        meaning = self.meaning(video_id)
        return request(self.server.url, "GET", f"/v1/videos/{video_id}", self.key), check

    def meaning(self, video_id: str) -> str:
        """Return the part of an id that is the same in all responses about a video."""
        return video_id


class LiteLLM(Door):
    """LiteLLM's proxy. The ids in its responses to creates also name the model."""

    def meaning(self, video_id: str) -> str:
        text = base64.b64decode(video_id.removeprefix("video_")).decode()
        return text.rpartition("video_id:")[2]


class Own(Door):
    """reelhook, with the key of a project."""

    async def quiet(self) -> None:
        """Wait until no create waits for the simulator, which serves the other door too."""

        async def none_waits() -> bool:
            jobs = (await self.get("/api/stats"))["jobs"]
            return not jobs.get("accepted") and not jobs.get("submitting")

        if not await until(none_waits, seconds=QUIET_SECONDS_MAX):
            raise RuntimeError("creates still wait")


@asynccontextmanager
async def simulator(folder: Path) -> AsyncIterator[Server]:
    """Run `reelhook simulate`, whose videos are never finished."""
    port = free_port()
    arguments = ("simulate", "--port", str(port), "--render-seconds", "86400")
    server = Server(folder, {}, arguments, port=port, ready_path="/v1/videos")
    async with started(server):
        yield server


@asynccontextmanager
async def started(server: Server) -> AsyncIterator[Server]:
    try:
        await server.start()
        yield server
    finally:
        server.close()


def litellm(folder: Path, upstream: str) -> Server:
    """Return LiteLLM's proxy, with one worker and as little logging as it has."""
    folder.mkdir(parents=True, exist_ok=True)
    provider = {"model": f"openai/{MODEL}", "api_base": f"{upstream}/v1", "api_key": "simulated"}
    config = {"model_list": [{"model_name": MODEL, "litellm_params": provider}]}
    (folder / "litellm.yaml").write_text(json.dumps(config))
    port = free_port()
    arguments = ("--config", "litellm.yaml", "--host", "127.0.0.1", "--port", str(port))
    environment = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
    }
    return Server(
        folder,
        environment,
        (*arguments, "--telemetry", "False"),
        (os.environ["LITELLM"],),
        port=port,
        ready_path="/health/liveliness",
    )


@asynccontextmanager
async def doors(folder: Path) -> AsyncIterator[tuple[Own, Door]]:
    """Run reelhook and LiteLLM's proxy in front of the same simulator."""
    async with simulator(folder / "simulator") as upstream:
        environment = {
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "OPENAI_API_KEY": "simulated",
            "WEBHOOK_SECRET": "secret of the benchmark",
            "REELHOOK_API_KEY": KEY,
        }
        own = Server(folder / "reelhook", environment)
        async with started(own), started(litellm(folder / "litellm", upstream.url)) as other:
            scopes = ["submit", "operate"]
            made = await Door(own, KEY).post("/api/keys", name="bench", scopes=scopes)
            yield Own(own, made["key"]), LiteLLM(other, KEY)


async def pairs(
    own: Own, other: Door, turn: Callable[[Door, float], Any], count: int, seconds: float
) -> list[tuple[float, float]]:
    """Return the rates of pairs of turns, one turn of each door after the other."""
    rates = []
    for door in (own, other):
        await turn(door, min(seconds, WARM_UP_SECONDS))
    for number in range(count):
        await own.quiet()
        if number % 2:
            theirs = await turn(other, seconds)
            ours = await turn(own, seconds)
        else:
            ours = await turn(own, seconds)
            await own.quiet()
            theirs = await turn(other, seconds)
        rates.append((ours, theirs))
    await own.quiet()
    return rates


def compare(
    figures: Figures, name: str, rates: list[tuple[float, float]], ratio_min: float
) -> None:
    ratio = statistics.median(ours / theirs for ours, theirs in rates)
    ours, theirs = (statistics.median(side) for side in zip(*rates, strict=True))
    figures.at_least(name, ratio, ratio_min)
    figures.values |= {name: ratio, f"{name}, reelhook": ours, f"{name}, LiteLLM": theirs}
    verdict = "ok" if ratio >= ratio_min else "MISSED"
    print(
        f"{name:<8}  {ours:.0f}/s, LiteLLM {theirs:.0f}/s: {ratio:.1f} times"
        f" (at least {ratio_min:g}) {verdict}",
        flush=True,
    )


def compare_memory(figures: Figures, ours: float, theirs: float) -> None:
    figures.at_most("memory", ours / theirs, MEMORY_SHARE_MAX)
    figures.values |= {"memory, reelhook": ours, "memory, LiteLLM": theirs}
    verdict = "ok" if ours / theirs <= MEMORY_SHARE_MAX else "MISSED"
    print(
        f"{'memory':<8}  {ours:.0f} MiB, LiteLLM {theirs:.0f} MiB: {ours / theirs:.2f} times"
        f" (at most {MEMORY_SHARE_MAX:.2f}) {verdict}",
        flush=True,
    )


async def measure(seconds: float, count: int) -> Figures:
    figures = Figures("door")
    folder = RESULTS / "door"
    shutil.rmtree(folder, ignore_errors=True)
    async with doors(folder) as (own, other):
        for door in (own, other):
            await door.create(VIDEOS)
        rates = await pairs(
            own, other, lambda door, time: door.retrieves_rate(time), count, seconds
        )
        compare(figures, "retrieve", rates, RETRIEVE_RATIO_MIN)
        memory = own.server.rss_mib(), other.server.rss_mib()  # with as many videos each
        rates = await pairs(own, other, lambda door, time: door.creates_rate(time), count, seconds)
        compare(figures, "create", rates, CREATE_RATIO_MIN)
        compare_memory(figures, *memory)
        for name, door in (("reelhook", own), ("LiteLLM", other)):
            figures.values[f"memory after the creates, {name}"] = door.server.rss_mib()
            figures.values[f"creates, {name}"] = len(door.ids)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of turns of each kind")
    asked = parser.parse_args()
    if "LITELLM" not in os.environ:
        parser.error("set LITELLM to LiteLLM's executable, or use `make bench-door`")
    figures = asyncio.run(measure(asked.seconds, asked.pairs))
    figures.write(RESULTS)
    sys.exit(0 if figures.reached else 1)


if __name__ == "__main__":
    main()
