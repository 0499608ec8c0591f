"""A worker: the real engine with an account at each provider, in a process that may be killed."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

import reelhook
from bench import lossy_sqlite
from bench.forked import fork
from bench.paying.mischief import SETTLE_SECONDS, TIMEOUT_SECONDS
from reelhook.domain.budget import BudgetLimits
from reelhook.domain.caller import OPERATOR
from reelhook.domain.errors import DATABASE_FAILURES, ReelhookError
from reelhook.domain.job import Job
from reelhook.domain.money import Money
from reelhook.domain.request import VideoRequest
from reelhook.doors.compat.functions import Hook
from reelhook.engine.submitting import preparing
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
DATA, LOG, OPENED = "data", "worker.log", "opened"
LIFE_SECONDS_MAX = 120
CARELESS_SECONDS_MAX = 30
"""A careless worker ends in no other way: it repeats for ever what its provider always refuses."""
PAUSE_SECONDS_MAX = 0.02
LOOK_SECONDS = 0.02
STARTS_MAX = 10
TRIES_MAX = 100
IMAGE_WAITS_SECONDS = (0.05, 0.1, 0.2)
"""The waits between the tries of an image: a worker lives for about a second."""
BUDGET = BudgetLimits(
    money_per_month={"USD": 10**12}, unknown_price=Money(UNKNOWN_PRICE := 1_000_000, "USD")
)
"""A budget with room for everything."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that is asked for, once: the key makes sure of that.

    `image`: the path of an image at the upstream, which fails sometimes, or always. `canceled`: it
    is canceled at once, mostly while its image is being fetched.
    """

    key: str
    provider: str
    prompt: str
    image: str | None = None
    canceled: bool = False


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
    (life.folder / OPENED).unlink(missing_ok=True)
    seconds_max = CARELESS_SECONDS_MAX if life.careless else LIFE_SECONDS_MAX
    return fork(lambda: _live(life), log=life.folder / LOG, seconds_max=seconds_max)


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
        allow_networks="127.0.0.0/8",
    )


async def _live(life: Life) -> None:
    chance = Random(life.seed)  # noqa: S311  # makes no keys
    preparing.WAITS_SECONDS = IMAGE_WAITS_SECONDS
    if life.careless:
        PaidOutcomes._in_doubt = _repeat  # type: ignore[method-assign, assignment]  # the known fault
    losses = lossy_sqlite.Chance(life.commits, os.getpid())
    if life.commits and life.database_url is None:
        lossy_sqlite.lose(losses)
    async with contextlib.AsyncExitStack() as stack:
        hook = await _opened(stack, life)
        (life.folder / OPENED).touch()
        await _until_written(lambda: hook.gateway.budgets.set_project(OPERATOR, "default", BUDGET))
        for wish in life.wishes:
            await _ask(hook, life.upstream_url, wish)
            await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))
        left = len(life.wishes)
        while left:
            await asyncio.sleep(LOOK_SECONDS)  # only the store knows
            left = len(life.wishes) - await _ended(hook)
        losses.stop()  # closing the file syncs it, and repeats nothing


async def _opened(stack: contextlib.AsyncExitStack, life: Life) -> Hook:
    """Start; again where a response was lost meanwhile, which ends a start."""
    for _ in range(STARTS_MAX - 1):
        with contextlib.suppress(ReelhookError):
            return await stack.enter_async_context(reelhook.open(settings(life)))
    return await stack.enter_async_context(reelhook.open(settings(life)))


async def _repeat(outcomes: PaidOutcomes, job: Job, *_: object) -> None:
    await outcomes._submit_later(job, 0.1, "careless")


async def _ask(hook: Hook, upstream_url: str, wish: Wish) -> None:
    image = None if wish.image is None else f"{upstream_url}{wish.image}"
    request = VideoRequest(prompt=wish.prompt, model=MODELS[wish.provider], image=image)
    key = IdempotencyKey("bench", wish.key, wish.key)
    made = await _until_written(lambda: hook.service.submit(request, idempotency=key))
    if wish.canceled:
        with contextlib.suppress(ReelhookError):  # it has ended, or its provider can't cancel
            await hook.service.cancel(made.job_id)


async def _until_written(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write while the database fails: a repetition changes nothing."""
    for _ in range(TRIES_MAX - 1):
        with contextlib.suppress(*DATABASE_FAILURES):
            return await write()
        await asyncio.sleep(LOOK_SECONDS)
    return await write()


async def _ended(hook: Hook) -> int:
    try:
        counts: dict[str, int] = (await hook.operations.stats())["jobs"]
    except DATABASE_FAILURES:
        return 0
    return sum(counts.get(status, 0) for status in ("completed", "failed", "canceled"))
