"""A worker: the real engine with an account at each provider, in a process that may be killed."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import reelhook
from bench import lossy_sqlite
from bench.forked import fork
from bench.paying.mischief import SETTLE_SECONDS, TIMEOUT_SECONDS
from reelhook.domain.errors import DATABASE_FAILURES, ReelhookError
from reelhook.domain.job import Job
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.functions import Hook
from reelhook.engine.submitting.outcomes import PaidOutcomes
from reelhook.ports import IdempotencyKey

MODELS = {
    "openai": "openai/sora-2",
    "ark": "ark/dreamina-seedance-2-0-260128",
    "fal": "fal/fal-ai/veo2",
    "replicate": "replicate/google/veo-3-fast",
    "runway": "runway/gen4.5",
    "xai": "xai/grok-imagine-video",
}
KEYS = {
    "ark": "ark_api_key",
    "fal": "fal_key",
    "replicate": "replicate_api_token",
    "runway": "runwayml_api_secret",
    "xai": "xai_api_key",
}
PATHS = {
    "openai": "v1",
    "ark": "ark/api/v3",
    "fal": "fal",
    "replicate": "replicate/v1",
    "runway": "runway/v1",
    "xai": "xai/v1",
}
URLS = {"runway": "runwayml_base_url"}
DATA, LOG = "data", "worker.log"
LIFE_SECONDS_MAX = 120
PAUSE_SECONDS_MAX = 0.02
LOOK_SECONDS = 0.02
STARTS_MAX = 10
TRIES_MAX = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that is asked for, once: the key makes sure of that."""

    key: str
    provider: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Life:
    """One worker's: where its files are, where every provider is played, and what is asked for.

    `careless`: it simply repeats a create whose answer was lost; the verdict must see that.
    `database_url` None: a SQLite file in the folder. `key` is the accounts' credential.
    `commits`: how often, from 0 to 1, SQLite loses the response to a COMMIT; PostgreSQL's are lost
    on the way, by a proxy.
    """

    folder: Path
    upstream_url: str
    wishes: Sequence[Wish]
    seed: int
    careless: bool = False
    database_url: str | None = None
    key: str = "bench"
    commits: float = 0.0

    @property
    def target(self) -> Path | str:
        """The database: a file, or PostgreSQL's URL."""
        return self.database_url or self.folder / DATA / "reelhook.db"


def start(life: Life) -> int:
    """Fork a worker; return its process id. The caller has no thread and no loop."""
    return fork(lambda: _live(life), log=life.folder / LOG, seconds_max=LIFE_SECONDS_MAX)


def settings(life: Life) -> reelhook.Settings:
    urls = {URLS.get(one, f"{one}_base_url"): f"{life.upstream_url}/{PATHS[one]}" for one in MODELS}
    return reelhook.Settings.of(
        **urls,
        **dict.fromkeys([*KEYS.values(), "openai_api_key"], life.key),
        data_dir=life.folder / DATA,
        database_url=life.database_url,
        webhook_secret="bench",
        poll_seconds=0.1,
        submit_timeout_seconds=TIMEOUT_SECONDS,
        submit_settle_seconds=SETTLE_SECONDS,
    )


async def _live(life: Life) -> None:
    chance = Random(life.seed)  # noqa: S311  # makes no keys
    if life.careless:
        PaidOutcomes._in_doubt = _repeat  # type: ignore[method-assign, assignment]  # the known fault
    if life.commits and life.database_url is None:
        lossy_sqlite.lose(lossy_sqlite.Chance(life.commits, os.getpid()))
    async with contextlib.AsyncExitStack() as stack:
        hook = await _opened(stack, life)
        for wish in life.wishes:
            await _ask(hook, wish)
            await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))
        left = len(life.wishes)
        while left:
            await asyncio.sleep(LOOK_SECONDS)  # only the store knows
            left = len(life.wishes) - await _ended(hook)


async def _opened(stack: contextlib.AsyncExitStack, life: Life) -> Hook:
    """Start; again where a response was lost meanwhile, which ends a start."""
    for _ in range(STARTS_MAX - 1):
        with contextlib.suppress(ReelhookError):
            return await stack.enter_async_context(reelhook.open(settings(life)))
    return await stack.enter_async_context(reelhook.open(settings(life)))


async def _repeat(outcomes: PaidOutcomes, job: Job, *_: object) -> None:
    await outcomes._submit_later(job, 0.1, "careless")


async def _ask(hook: Hook, wish: Wish) -> None:
    request = VideoRequest(prompt=wish.prompt, model=MODELS[wish.provider])
    key = IdempotencyKey("bench", wish.key, wish.key)
    for _ in range(TRIES_MAX - 1):
        try:
            await hook.service.submit(request, idempotency=key)
        except DATABASE_FAILURES:  # the key makes a repetition safe
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return
    await hook.service.submit(request, idempotency=key)


async def _ended(hook: Hook) -> int:
    try:
        counts: dict[str, int] = (await hook.operations.stats())["jobs"]
    except DATABASE_FAILURES:
        return 0
    return counts.get("completed", 0) + counts.get("failed", 0)
