"""A fast `/v1/videos` stub that counts every request; run as `python -m bench.upstream`.

It is written from the public wire alone, independent of the program under measurement. An answer
shows the state of the moment its request arrived, so all of the latency counts against a reader.
"""

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from bench.serving import json_response, reset, serve
from bench.upstream_faults import MALFORMED, Settings
from bench.upstream_files import send
from bench.upstream_videos import CONTENT, PAGE_DEFAULT, PAGE_MAX, Video, Videos


@dataclass(slots=True)
class Fate:
    """What one request meets, decided when it arrives."""

    kind: str
    fault: str | None
    entry: dict[str, Any]


@dataclass(slots=True)
class Upstream:
    """The stub's state. `log` has one line for each request, in order of arrival."""

    chance: Random
    settings: Settings = field(default_factory=Settings)
    videos: Videos = field(default_factory=Videos)
    log: list[dict[str, Any]] = field(default_factory=list)
    finish_after_read: tuple[float, float] | None = None
    """(armed at, seconds after the next read to end every video)."""
    finished_at: float | None = None
    waiting: int = 0

    # -- what every request goes through ------------------------------------------------------

    def arrive(self, kind: str, **facts: Any) -> Fate:
        now = time.monotonic()
        fault = self.settings.draw(kind, self.chance)
        entry = {"t": now, "kind": kind, "fault": fault, **facts}
        self.log.append(entry)
        if kind in {"get", "list"} and self.finish_after_read and now > self.finish_after_read[0]:
            _, delay = self.finish_after_read
            self.finish_after_read = None
            asyncio.get_running_loop().call_later(delay, self.finish)
        return Fate(kind, fault, entry)

    async def wait(self) -> None:
        self.waiting += 1
        try:
            await asyncio.sleep(self.settings.latency_ms / 1000)
        finally:
            self.waiting -= 1

    def finish(self) -> None:
        self.finished_at = time.monotonic()
        self.videos.finish_all(self.finished_at)

    def moment(self, fate: Fate) -> float:
        arrival: float = fate.entry["t"]
        return arrival if self.settings.snapshot == "arrival" else time.monotonic()

    def failure(self, fate: Fate, request: web.Request) -> web.Response | None:
        """Return the answer that the request's fault asks for, or None without one."""
        match fate.fault:
            case None:
                return None
            case "401":
                return error(401, "invalid_api_key", "Incorrect API key.")
            case "429":
                hint = {"Retry-After": str(self.settings.retry_after_seconds)}
                return error(429, "rate_limit_exceeded", "Too many requests.", headers=hint)
            case "500":
                return error(500, "server_error", "The stub broke, as it was told to.")
            case "reset":
                return reset(request)
            case _:
                body = self.chance.choice(MALFORMED)
                return web.Response(body=body, content_type="application/json")

    # -- the wire -----------------------------------------------------------------------------

    async def create(self, request: web.Request) -> web.StreamResponse:
        fate = self.arrive("create", who=who(request))
        fields = await read_fields(request)
        fate.entry["prompt"] = fields.get("prompt")
        if not fields.get("prompt"):
            return error(400, "invalid_prompt", "prompt is required.")
        lost = self.chance.random() < self.settings.lost_creates
        hung = not lost and self.chance.random() < self.settings.hung_creates
        created = fate.fault is None or self.creates_despite(fate.fault)
        late = self.chance.random() < self.settings.late_creates
        video = None
        if created and not late:
            video = self.make(fields, fate)
        await self.wait()
        if created and late:
            video = self.make(fields, fate)
        if lost:
            fate.entry["fault"] = "lost"
            return reset(request)
        if hung:
            fate.entry["fault"] = "hung"
            await asyncio.sleep(3600)
        if failure := self.failure(fate, request):
            return failure
        assert video is not None
        return json_response(self.videos.show(video, self.moment(fate)))

    def creates_despite(self, fault: str) -> bool:
        """A 401 or 429 creates nothing; behind any other fault the video may exist or not."""
        return fault not in {"401", "429"} and self.chance.random() < 0.5

    def make(self, fields: dict[str, str], fate: Fate) -> Video:
        video = self.videos.create(fields, finish_after_seconds=self.settings.finish_after_seconds)
        fate.entry["video"] = video.id
        return video

    async def get(self, request: web.Request) -> web.StreamResponse:
        video_id = request.match_info["id"]
        fate = self.arrive("get", video=video_id, who=who(request))
        video = self.videos.find(video_id)
        shown = self.videos.show(video, self.moment(fate)) if video else None
        await self.wait()
        if failure := self.failure(fate, request):
            return failure
        if video is None:
            return error(404, "not_found", "No such video.")
        if self.settings.snapshot != "arrival":
            shown = self.videos.show(video, self.moment(fate))
        return json_response(shown)

    async def list(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        fate = self.arrive("list", **query, who=who(request))
        if self.settings.listing != "ok":
            fate.entry["fault"] = "refused"
            await self.wait()
            return error(405, "method_not_allowed", "There is no listing here.")
        answer = self.listing(query, self.moment(fate))
        await self.wait()
        if failure := self.failure(fate, request):
            return failure
        if self.settings.snapshot != "arrival":
            answer = self.listing(query, self.moment(fate))
        return answer

    def listing(self, query: dict[str, str], now: float) -> web.Response:
        try:
            limit = int(query.get("limit", PAGE_DEFAULT))
        except ValueError:
            limit = -1
        order = query.get("order", "desc")
        if not 0 <= limit <= PAGE_MAX or order not in {"asc", "desc"}:
            return error(400, "invalid_request", "limit is 0..100, order asc or desc.")
        found = self.videos.page(after=query.get("after"), limit=limit, order=order)
        if found is None:
            return error(404, "not_found", "No such video: after.")
        shown = found[:limit]
        rest = {
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
            "has_more": len(found) > limit,
        }
        data = b",".join(self.videos.render(one, now) for one in shown)
        body = b'{"object":"list","data":[' + data + b"]," + json.dumps(rest).encode()[1:]
        return web.Response(body=body, content_type="application/json")

    async def content(self, request: web.Request) -> web.StreamResponse:
        fate = self.arrive("content", video=request.match_info["id"], who=who(request))
        await self.wait()
        if failure := self.failure(fate, request):
            return failure
        video = self.videos.find(request.match_info["id"])
        if video is None or self.videos.show(video, time.monotonic())["status"] != "completed":
            return error(404, "not_ready", "The video is not finished.")
        settings = self.settings
        stays = settings.file_seconds
        if stays is not None and time.monotonic() > (video.finishes or 0) + stays:
            return error(404, "expired", "The file was deleted.")
        if settings.file_bytes:
            return await send(
                request, video.id, settings.file_bytes, settings.file_bytes_per_second, fate.entry
            )
        return web.Response(body=CONTENT, content_type="video/mp4")

    async def delete(self, request: web.Request) -> web.StreamResponse:
        fate = self.arrive("delete", video=request.match_info["id"])
        await self.wait()
        if failure := self.failure(fate, request):
            return failure
        video = self.videos.find(request.match_info["id"])
        if video is None:
            return error(404, "not_found", "No such video.")
        video.deleted = True
        return json_response({"id": video.id, "object": "video.deleted", "deleted": True})

    # -- control ------------------------------------------------------------------------------

    async def control_settings(self, request: web.Request) -> web.StreamResponse:
        changes = await request.json()
        for name in ("progress_seconds", "queued_seconds"):
            setattr(self.videos, name, changes.pop(name, getattr(self.videos, name)))
        self.settings.change(changes)
        return json_response(asdict(self.settings))

    async def control_finish(self, request: web.Request) -> web.StreamResponse:
        """End every video: now, or `after_read_seconds` after the next read arrives."""
        asked = await request.json()
        self.finished_at = None
        if (delay := asked.get("after_read_seconds")) is None:
            self.finish()
        else:
            self.finish_after_read = (time.monotonic(), delay)
        return json_response({"finished_at": self.finished_at})

    async def control_make(self, request: web.Request) -> web.StreamResponse:
        """Make `count` videos at once, without a create call; `ended`: they are finished."""
        asked = await request.json()
        made = self.videos.make(asked["count"], ended=bool(asked.get("ended")))
        return json_response({"ids": made})

    async def control_plan(self, request: web.Request) -> web.StreamResponse:
        """Let videos change by plan, from `start_in` seconds from now on."""
        asked = await request.json()
        start = time.monotonic() + asked.pop("start_in")
        self.videos.plan(asked.pop("ids"), start=start, **asked)
        return json_response({"start": start})

    async def control_state(self, request: web.Request) -> web.StreamResponse:
        """Show the log from line `from` on, the creations by prompt, and what is under way."""
        start = int(request.query.get("from", 0))
        answer: dict[str, Any] = {
            "log": self.log[start:],
            "next": len(self.log),
            "finished_at": self.finished_at,
            "waiting": self.waiting,
            "videos": len(self.videos.in_order),
        }
        if "creations" in request.query:
            creations: dict[str, list[str]] = {}
            for video in self.videos.in_order:
                creations.setdefault(video.prompt, []).append(video.id)
            answer["creations"] = creations
        return json_response(answer)


def who(request: web.Request) -> str:
    """Return the key that the request came with: it tells several callers apart."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def error(
    status: int, code: str, message: str, *, headers: dict[str, str] | None = None
) -> web.Response:
    fault = {"error": {"code": code, "message": message, "type": "stub", "param": None}}
    return json_response(fault, status=status, headers=headers)


async def read_fields(request: web.Request) -> dict[str, str]:
    """Return the text fields of a JSON or multipart create; anything else has none."""
    if request.content_type == "application/json":
        try:
            content = await request.json()
        except json.JSONDecodeError:
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: str(value) for name, value in content.items() if value is not None}
    form = await request.post()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def application(upstream: Upstream) -> web.Application:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/videos", upstream.create)
    app.router.add_get("/v1/videos", upstream.list)
    app.router.add_get("/v1/videos/{id}", upstream.get)
    app.router.add_get("/v1/videos/{id}/content", upstream.content)
    app.router.add_delete("/v1/videos/{id}", upstream.delete)
    app.router.add_post("/control/settings", upstream.control_settings)
    app.router.add_post("/control/finish", upstream.control_finish)
    app.router.add_post("/control/make", upstream.control_make)
    app.router.add_post("/control/plan", upstream.control_plan)
    app.router.add_get("/control/state", upstream.control_state)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of the chance of faults")
    options = parser.parse_args()
    # Chance picks faults here, not keys.
    upstream = Upstream(Random(options.seed))  # noqa: S311
    serve(application(upstream), [options.port])


if __name__ == "__main__":
    main()
