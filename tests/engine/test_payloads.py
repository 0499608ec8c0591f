"""A second format of webhook bodies takes one class; the core and its loops do not change."""

import json
from pathlib import Path

from engine_delivering import DELIVER_ALONE, tell
from engine_stage import stage, until

from reelhook.core.payloads import Formats
from reelhook.domain.endpoint import EventName
from reelhook.domain.event import Event, Instant
from reelhook.domain.job import Job
from reelhook.domain.notice import BudgetNotice


class Plain:
    """A format that shares no field with the present one."""

    events = frozenset(EventName)

    def body(self, job: Job, event: Event) -> bytes:
        return json.dumps({"jobId": job.id, "type": f"video.{event.status}"}).encode()

    def notice_body(self, notice: BudgetNotice) -> bytes:
        return json.dumps({"type": notice.name.value}).encode()

    def test_body(self, message_id: str, now: Instant) -> bytes:
        return json.dumps({"jobId": message_id, "type": "video.test", "at": now}).encode()


async def test_an_endpoint_receives_the_format_that_was_chosen(tmp_path: Path) -> None:
    async with (
        stage(tmp_path, loops=DELIVER_ALONE, formats=Formats(Plain())) as here,
        here.engine() as engine,
    ):
        await engine.register(["job_1"], here.hook)
        await tell(engine, "job_1", "completed")
        await until(lambda: len(here.receivers.webhooks) == 1)
        [webhook] = here.receivers.webhooks
        assert webhook.body == {"jobId": "job_1", "type": "video.completed"}
