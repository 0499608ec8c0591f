"""A check of a server of `/v1/videos`, so that its faults are found before a job fails."""

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
from reelhook.providers.http.error_mapping import error_message, read_error
from reelhook.providers.http.response import ProviderResponse
from reelhook.providers.openai.probe import Ask, Probed, get_or_none, probe
from reelhook.providers.openai.server_kind import UNKNOWN_JOB, ServerKind

_NO_ROUTE = re.compile(
    r"not found|(?:404|404:)? ?(?:page|file|route|url|path|endpoint) not found|404:? not found"
    r"|invalid url\b.*|cannot get\b.*|unexpected endpoint\b.*|no route\b.*|unknown request url\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""Messages of servers that lack a path and say so in JSON."""
_HEALTH = frozenset(
    {ServerKind.SGLANG, ServerKind.VLLM_OMNI, ServerKind.FASTVIDEO, ServerKind.TENSORRT_LLM}
)
"""Kinds whose `/health` costs nothing. SGLang's: `http_server.py`, `health`."""
_RETRIES = (
    "LiteLLM repeats a create when its response is lost, so that one request may be rendered, and "
    "paid for, twice: set router_settings: {num_retries: 0} in its configuration"
)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of one server.

    `ask` GETs a path below the base URL, `ask_root` one next to `/v1`, and `list_one` reads a page
    of the listing.
    """

    base: URL
    ask: Ask
    ask_root: Ask
    list_one: Callable[[], Awaitable[Page]]
    now: Callable[[], float]

    async def run(self) -> str:
        """Return a short description of the server; see `Provider.check`.

        Raises `ServerUnfitError` if it responds but can't create videos.
        """
        probed, unknown_job, listed = await asyncio.gather(
            probe(self.ask),
            get_or_none(self.ask, f"videos/{UNKNOWN_JOB}"),
            asyncio.gather(self.list_one(), return_exceptions=True),
        )
        [listing] = listed
        if isinstance(listing, BaseException):
            await self._raise_fault(listing, probed, unknown_job)
        await self._raise_if_unhealthy(probed.kind)
        lists = "its jobs can be listed" if isinstance(listing, Page) else "it lists no jobs"
        if probed.kind is not ServerKind.UNKNOWN:
            return f"it is {probed.facts.title}, and {lists}"
        return lists if isinstance(listing, Page) else "it responds, but lists no jobs"

    async def _raise_fault(
        self, error: BaseException, probed: Probed, unknown_job: ProviderResponse | None
    ) -> None:
        """Raise the fault of the server; return if it only lacks a listing."""
        if isinstance(error, ProviderUnauthorizedError) or not isinstance(error, ProviderError):
            raise error
        if unknown_job is not None and lacks_videos(unknown_job):
            raise ServerUnfitError(
                f"has no /v1/videos: {self.base}/videos/... returns HTTP {unknown_job.status}; "
                "set the base URL to a server that has it"
            )
        if error.unreachable and await self._is_live():
            raise ServerUnfitError(
                "is live but not ready: it is still starting or warming up; "
                "requests wait until it is ready"
            )
        if not isinstance(error, ListingUnsupportedError):
            raise error
        for response in (unknown_job, probed.models):
            if response is not None and response.status in {401, 403}:
                raise read_error(response, self.now())
        models = probed.models
        if models is None or not (models.ok or models.status == 404):
            raise error if models is None else read_error(models, self.now())

    async def _is_live(self) -> bool:
        """Return True if SGLang's `/liveness` reports it. It responds even during the start."""
        response = await get_or_none(self.ask_root, "liveness")
        return response is not None and response.fields().get("status") == "ok"

    async def _raise_if_unhealthy(self, kind: ServerKind) -> None:
        health = await get_or_none(self.ask_root, "health") if kind in _HEALTH else None
        if health is None or health.status < 500:
            return
        message = error_message(health) if health.body else "it is still starting or warming up"
        raise ServerUnfitError(
            f"can't render: its /health returns HTTP {health.status}: {message}; see its log"
        )


def lacks_videos(unknown_job: ProviderResponse) -> bool:
    """Return True if a server has no `/v1/videos/ID`, judging by its response for an unknown id.

    A server that has it responds in JSON that there is no such video, or that access is denied.
    """
    fields = unknown_job.fields()
    if unknown_job.ok:  # a web page for every path, or LM Studio's `{"error": "Unexpected ..."}`
        return "id" not in fields
    if unknown_job.status == 405:
        return True
    if unknown_job.status != 404:
        return False
    return not unknown_job.is_object() or bool(_NO_ROUTE.fullmatch(error_message(unknown_job)))


def advice_on(probed: Probed) -> Sequence[Advice]:
    """Return advice for the operator of such a server."""
    facts, advice = probed.facts, []
    if probed.kind is ServerKind.LITELLM:
        advice.append(Advice(_RETRIES, costs=True))
    if facts.delete_stops is False:
        advice.append(
            Advice(
                f"a cancel does not stop a render: {facts.title} drops the job, but renders it "
                "to its end"
            )
        )
    if facts.queues is False:
        advice.append(
            Advice(
                f"{facts.title} has no queue: it refuses jobs, or renders them all at once; with "
                "jobs_max = 1 (OPENAI_JOBS_MAX) reelhook creates them one after the other"
            )
        )
    if facts.memory_only:
        advice.append(
            Advice(
                f"{facts.title} keeps its jobs in memory: a restart makes unfinished ones fail; "
                "resubmit_forgotten = true (OPENAI_RESUBMIT_FORGOTTEN) sends them again"
            )
        )
    return advice
