"""A worker: the real engine with an account at each provider, in a process that may be killed."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import structlog

import reelhook
from bench.paying.mischief import SETTLE_SECONDS, TIMEOUT_SECONDS
from reelhook.domain.job import Job, VideoRequest
from reelhook.engine.submit import Submit
from reelhook.hook import Hook
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
LIFE_SECONDS_MAX = 60
PAUSE_SECONDS_MAX = 0.02
LOOK_SECONDS = 0.02


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
    """

    folder: Path
    upstream_url: str
    wishes: Sequence[Wish]
    seed: int
    careless: bool = False
    database_url: str | None = None
    key: str = "bench"

    @property
    def target(self) -> Path | str:
        """The database: a file, or PostgreSQL's URL."""
        return self.database_url or self.folder / DATA / "reelhook.db"


def start(life: Life) -> int:
    """Fork a worker; return its process id. The caller has no thread and no loop."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(LIFE_SECONDS_MAX)  # whatever happens, it does not outlive this
            _log_errors(life.folder / LOG)
            asyncio.run(_live(life))
            code = 0
        except BaseException:
            (life.folder / LOG).open("a").write(traceback.format_exc())
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _log_errors(path: Path) -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.WriteLoggerFactory(path.open("a", buffering=1)),
    )


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
        Submit._in_doubt = _repeat  # type: ignore[method-assign, assignment]  # the known fault
    async with reelhook.open(settings(life)) as hook:
        for wish in life.wishes:
            await _ask(hook, wish)
            await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))
        left = len(life.wishes)
        while left:
            await asyncio.sleep(LOOK_SECONDS)  # only the store knows
            left = len(life.wishes) - await _ended(hook)


async def _repeat(submit: Submit, job: Job) -> None:
    await submit._again(job, 0.1)


async def _ask(hook: Hook, wish: Wish) -> None:
    request = VideoRequest(script=wish.prompt, model=MODELS[wish.provider])
    key = IdempotencyKey("bench", wish.key, wish.key)
    await hook.service.submit(request, idempotency=key)


async def _ended(hook: Hook) -> int:
    counts: dict[str, int] = (await hook.operations.stats())["jobs"]
    return counts.get("completed", 0) + counts.get("failed", 0)
