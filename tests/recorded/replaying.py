"""Replaying recorded responses through the whole program, over real HTTP, all of them at once."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from cleaning_up import clean_up

from recorded.recordings import FOLDER, Recording

sys.path.insert(0, str(FOLDER.parent / "http"))  # gateways.py is a module of that folder's tests

from gateways import Gateway, gateway

SECONDS = 40
ALONGSIDE = 4
"""So many other jobs make a page of the listing cheaper than single reads."""
MODELS = {
    "ark": "seedance-1-0-pro-250528",
    "fal": "fal-ai/veo3/fast",
    "openai": "sora-2",
    "replicate": "minimax/video-01",
    "runway": "gen4.5",
    "xai": "grok-imagine-video",
}
ACCEPTED: Mapping[str, dict[str, Any]] = {
    "ark": {},
    "fal": {"status": "IN_QUEUE"},
    "openai": {"object": "video", "status": "queued"},
    "replicate": {"status": "starting", "created_at": "2026-01-01T00:00:00Z"},
    "runway": {},
    "xai": {},
}


@dataclass(frozen=True)
class Outcome:
    """What a user can read in the end: the job."""

    job: dict[str, Any]

    @property
    def said(self) -> str:
        """The words of the provider that the job waits with."""
        return str(self.job.get("waiting", {}).get("lastResponse", ""))


class Upstream:
    """Plays the providers: below `/ACCOUNT/` the one of a recording, which comes in its place."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = {one.account: one for one in recordings}
        self._creates: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the program's."""
        one = self._recordings[request.match_info["account"]]
        path = request.match_info["path"]
        if request.method == "POST":
            self._creates[one.account] += 1
            return accepted(one, self._creates[one.account]) if one.job_is_made else recorded(one)
        if is_listing(one.provider, path):
            return recorded(one) if one.kind == "listings" else refused(404)
        if one.kind == "results" and path.endswith("/status"):
            return web.json_response({"status": "COMPLETED", "request_id": "r-1"})
        return recorded(one) if one.kind in {"polls", "results"} else refused(503)


def recorded(one: Recording) -> web.StreamResponse:
    """Return the recorded response; what describes its transport is made anew."""
    body = json.dumps(one.body) if one.text is None else one.text
    response = web.Response(status=one.status, body=body.encode())
    response.headers.update(one.headers)
    return response


def accepted(one: Recording, number: int) -> web.StreamResponse:
    """Return the provider's response to a create that it accepts, the first, second, ..."""
    name = "request_id" if one.provider in {"fal", "xai"} else "id"
    given = one.id if one.id is not None and number == 1 else f"{one.account}.{number}"
    return web.json_response({**ACCEPTED[one.provider], name: given}, status=201)


def refused(status: int) -> web.StreamResponse:
    """Return a response that says nothing about any job."""
    return web.json_response({"error": {"message": "not played"}}, status=status)


def is_listing(provider: str, path: str) -> bool:
    """Whether a GET asks for many jobs."""
    ends = {"ark": "generations/tasks", "openai": "videos", "replicate": "predictions"}
    return provider in ends and path.endswith(ends[provider])


@asynccontextmanager
async def upstream(recordings: Sequence[Recording]) -> AsyncIterator[str]:
    """Serve until the block ends; yield the address."""
    app = web.Application()
    app.router.add_route("*", "/{account}/{path:.*}", Upstream(recordings).handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await clean_up(runner)


async def replay(recordings: Sequence[Recording], folder: Path) -> dict[str, Outcome]:
    """Submit a job for each recording, and return what became of them, by their accounts."""
    async with upstream(recordings) as url:
        accounts = folder / "accounts.toml"
        accounts.write_text(
            "\n".join(
                f'[accounts.{one.account}]\nprovider = "{one.provider}"\nkey = "k"\n'
                f'base_url = "{url}/{one.account}"'
                for one in recordings
            )
        )
        async with gateway(folder, accounts_file=str(accounts), poll_seconds=1) as server:
            outcomes = await asyncio.gather(*(_played(server, one) for one in recordings))
    return {one.account: told for one, told in zip(recordings, outcomes, strict=True)}


async def _played(server: Gateway, one: Recording) -> Outcome:
    job_id = await _submitted(server, one)
    if one.kind == "listings":
        await server.job_when(job_id, "queued")
        for _ in range(ALONGSIDE):
            await _submitted(server, one)
    deadline = asyncio.get_running_loop().time() + SECONDS
    while True:
        outcome = Outcome(await server.job(job_id))
        if not differs(one, outcome) or asyncio.get_running_loop().time() > deadline:
            return outcome
        await asyncio.sleep(1)


async def _submitted(server: Gateway, one: Recording) -> str:
    body = {"script": "A fox", "model": f"{one.account}/{MODELS[one.provider]}"}
    reply = await server.post("/api/generate", json=body)
    assert reply.status == 200, reply.body
    return str(reply.json()["jobId"])


def differs(one: Recording, outcome: Outcome) -> str:
    """Return in what the outcome differs from the expected one; "" where it does not."""
    expect, job = one.expect, outcome.job
    words = expect.get("words", "")
    match expect["status"]:
        case "waits":
            wanted, said = ("accepted", None), outcome.said
        case "doubt":
            wanted, said = ("submitting", None), outcome.said
        case "unread":
            wanted, said = ("queued", None), outcome.said
        case status:
            wanted, said = (status, expect.get("code")), job["error"] or ""
    if (job["status"], job["code"]) != wanted:
        return f"{job['status']}, {job['code']}: {job['error']}, instead of {wanted}"
    if words not in said:
        return f"{words!r} is not in {said!r}"
    for key, name in (("id", "soraJobId"), ("progress", "progress")):
        if key in expect and job[name] != expect[key]:
            return f"{name} is {job[name]!r}"
    if "cost" in expect:
        cost = job["cost"] or {}
        if {"amount": cost.get("amount"), "unit": cost.get("unit")} != expect["cost"]:
            return f"cost is {cost}"
    return ""
