"""Ark, which serves Seedance: BytePlus ModelArk, and Volcengine under another base URL.

Paths and fields as in volcengine-ark-runtime 5.0.54 (`resources/content_generation/tasks.py`, and
`types/content_generation`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from reelhook.domain.errors import WebhookVerificationError
from reelhook.domain.report import (
    Accepted,
    Notice,
    Page,
    Progress,
    Reading,
    SubmitOutcome,
)
from reelhook.domain.request import VideoRequest
from reelhook.ports import Capabilities
from reelhook.providers.ark.batch import URL_BYTES_MAX, Batch
from reelhook.providers.ark.models import INLINE_BYTES_MAX, MODELS, body, refusal_before_sending
from reelhook.providers.ark.pages import Pages
from reelhook.providers.ark.task import report
from reelhook.providers.ark.tasks import FLEX, PAGE_SIZE, PATH, TaskPages
from reelhook.providers.http.expiring import ExpiringProvider
from reelhook.providers.http.json_fields import Fields, readable_id
from reelhook.providers.http.response import read_json

_QUERY_BYTES = len(f"{PATH}?page_num=1&page_size={PAGE_SIZE}&filter.service_tier={FLEX}") + 1


class Ark(ExpiringProvider):
    """One account at BytePlus ModelArk or at Volcengine."""

    name = "ark"
    title = "Ark"
    default_base_url = "https://ark.ap-southeast.bytepluses.com/api/v3"
    default_path = "/api/v3"
    jobs_path = PATH
    traits = Capabilities(
        batch_max=100_000,
        page_size_max=PAGE_SIZE,
        notifies=True,
        # "You are only charged for successfully generated videos": the page of prices
        failures_are_free=True,
        inline_bytes_max=INLINE_BYTES_MAX,
    )
    models = MODELS

    @cached_property
    def _tasks(self) -> TaskPages:
        return TaskPages(self.ask, self.now)

    @cached_property
    def _pages(self) -> Pages:
        return Pages(self._tasks)

    @cached_property
    def _batch(self) -> Batch:
        return Batch(self._tasks, URL_BYTES_MAX - len(str(self.base)) - _QUERY_BYTES)

    # -- submitting ---------------------------------------------------------------------------

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool] = lambda: True,
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Create a task, exactly once. Ark calls `callback_url` at each change of its status."""
        if refused := refusal_before_sending(request):
            return refused
        return await self.pay(PATH, body(request, callback_url), may_send, _accepted)

    # -- reading ------------------------------------------------------------------------------

    async def get(self, provider_job_id: str) -> Reading:
        """Read one task; Ark keeps tasks for 7 days."""
        return await self.reading(self.job_path(provider_job_id), report)

    async def get_many(self, provider_job_ids: Sequence[str]) -> Mapping[str, Reading]:
        """Read many tasks with few requests; see `Batch`."""
        return await self._batch.read(provider_job_ids)

    async def page(self, after: str | None, limit: int) -> Page:
        """Read a page of the listing, newest first: up to 500 entries a tier, whatever `limit`.

        The entries have no prompts. Raises `CursorRefusedError` unless `after` is the last entry
        of a page that was read before.
        """
        return await self._pages.page(after)

    async def cancel(self, provider_job_id: str) -> bool:
        """Cancel a queued task; a running one can't be stopped.

        For a task that has ended, the same request deletes its record, although it is paid for.
        So the task is read first.
        """
        match (await self.get(provider_job_id)).report:
            case Progress(running=False):
                return await self.canceled("DELETE", self.job_path(provider_job_id))
            case _:
                return False

    async def notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Read a callback, which holds the task. It is not signed, so only its id is used."""
        task = read_json(body)
        provider_job_id = readable_id(task.get("id")) if isinstance(task, dict) else None
        if provider_job_id is None:
            raise WebhookVerificationError("The callback names no task")
        return Notice(provider_job_id)

    async def check(self) -> str:
        """List one task of the last 7 days."""
        page = await self._tasks.page(size=1)
        return "the key is good" if page.total is None else f"{page.total} tasks in 7 days"


def _accepted(created: Fields) -> Accepted | None:
    provider_job_id = readable_id(created.get("id"))
    if provider_job_id is None:
        return None
    return Accepted(provider_job_id, report(created) or Progress(running=False))
