"""Judging a server of `/v1/videos` before a job fails of it: what is there, and is it well?"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from yarl import URL

from reelhook.domain.errors import (
    ListingUnsupportedError,
    ProviderError,
    ProviderUnauthorizedError,
    ServerUnfitError,
)
from reelhook.domain.report import Page
from reelhook.providers.http.advice import Advice
from reelhook.providers.http.error_mapping import unread, words
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.openai.probe import Ask, Probed, asked, probe
from reelhook.providers.openai.server_kind import UNKNOWN_JOB, ServerKind

_NO_ROUTE = re.compile(
    r"not found|(?:404|404:)? ?(?:page|file|route|url|path|endpoint) not found|404:? not found"
    r"|invalid url\b.*|cannot get\b.*|unexpected endpoint\b.*|no route\b.*|unknown request url\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""How servers say that they have no such path, where they say it as JSON."""
_HEALTH = frozenset(
    {ServerKind.SGLANG, ServerKind.VLLM_OMNI, ServerKind.FASTVIDEO, ServerKind.TENSORRT_LLM}
)
"""Kinds whose `/health` asks nobody for money. Of SGLang: `http_server.py`, `health`."""
_RETRIES = (
    "LiteLLM repeats a create by itself when its response is lost, so that one request may be "
    "rendered, and paid, twice: set router_settings: {num_retries: 0} in its configuration"
)


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one server.

    `ask` GETs a path below the base URL, `ask_root` one beside `/v1`, and `list_one` reads a page
    of the listing.
    """

    base: URL
    ask: Ask
    ask_root: Ask
    list_one: Callable[[], Awaitable[Page]]
    now: Callable[[], float]

    async def run(self) -> str:
        """Return what the server is, in a few words; see `Provider.check`.

        Raises `ServerUnfitError` where it is reached and can't do what it is asked for.
        """
        probed, unknown_job, listed = await asyncio.gather(
            probe(self.ask),
            asked(self.ask, f"videos/{UNKNOWN_JOB}"),
            asyncio.gather(self.list_one(), return_exceptions=True),
        )
        [listing] = listed
        if isinstance(listing, BaseException):
            await self._judge(listing, probed, unknown_job)
        await self._judge_health(probed.kind)
        lists = "its jobs can be listed" if isinstance(listing, Page) else "it lists no jobs"
        if probed.kind is not ServerKind.UNKNOWN:
            return f"it is {probed.facts.title}, and {lists}"
        return lists if isinstance(listing, Page) else f"it answers, and {lists.partition(' ')[2]}"

    async def _judge(
        self, error: BaseException, probed: Probed, unknown_job: ProviderResponse | None
    ) -> None:
        """Raise what is wrong; nothing, where only the listing is missing."""
        if isinstance(error, ProviderUnauthorizedError) or not isinstance(error, ProviderError):
            raise error
        if unknown_job is not None and lacks_videos(unknown_job):
            raise ServerUnfitError(
                f"has no /v1/videos: {self.base}/videos/... is answered HTTP {unknown_job.status}; "
                "set the base URL to a server that has it"
            )
        if error.unreachable and await self._lives():
            raise ServerUnfitError(
                "answers nothing but that it lives: it is still starting or warming up; "
                "requests wait until it has done so"
            )
        if not isinstance(error, ListingUnsupportedError):
            raise error
        for answer in (unknown_job, probed.models):
            if answer is not None and answer.status in {401, 403}:
                raise unread(answer, self.now())
        models = probed.models
        if models is None or not (models.ok or models.status == 404):
            raise error if models is None else unread(models, self.now())

    async def _lives(self) -> bool:
        """Whether it says so at SGLang's `/liveness`, which nothing else has to wait for."""
        answer = await asked(self.ask_root, "liveness")
        return answer is not None and answer.fields().get("status") == "ok"

    async def _judge_health(self, kind: ServerKind) -> None:
        health = await asked(self.ask_root, "health") if kind in _HEALTH else None
        if health is None or health.status < 500:
            return
        said = words(health) if health.body else "it is still starting or warming up"
        raise ServerUnfitError(
            f"can't render: its /health answers HTTP {health.status}: {said}; look into its log"
        )


def lacks_videos(unknown_job: ProviderResponse) -> bool:
    """Whether a server has no `/v1/videos/ID`, by what it says of an id that it can't know.

    One that has it answers in JSON that there is no such video, or that it may not say.
    """
    fields = unknown_job.fields()
    if unknown_job.ok:  # a web page for every path, or LM Studio's `{"error": "Unexpected ..."}`
        return "id" not in fields
    if unknown_job.status == 405:
        return True
    if unknown_job.status != 404:
        return False
    return not unknown_job.is_object() or bool(_NO_ROUTE.fullmatch(words(unknown_job)))


def advice_on(probed: Probed) -> Sequence[Advice]:
    """Return what an operator should know of such a server."""
    facts, found = probed.facts, []
    if probed.kind is ServerKind.LITELLM:
        found.append(Advice(_RETRIES, costs=True))
    if facts.delete_stops is False:
        found.append(
            Advice(f"a cancel does not stop a render: {facts.title} forgets the job, renders on")
        )
    if facts.queues is False:
        found.append(
            Advice(
                f"{facts.title} has no queue of its own: it refuses jobs, or renders them all at "
                "once; with jobs_max = 1 (OPENAI_JOBS_MAX) they are created one after the other"
            )
        )
    if facts.memory_only:
        found.append(
            Advice(
                f"{facts.title} keeps its jobs in memory: when it is restarted those under way "
                "fail; resubmit_forgotten = true (OPENAI_RESUBMIT_FORGOTTEN) sends them again"
            )
        )
    return found
