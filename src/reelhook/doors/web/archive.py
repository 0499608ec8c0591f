"""The finished videos, newest first, with their posters."""

from collections.abc import Mapping
from typing import Any

from reelhook.domain.job import Status
from reelhook.doors.web.job import poster_address
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import View
from reelhook.gateway import JobFilter

router = new_router()
PAGE_VIDEOS = 30


@page(router, "/archive", "archive.html")
async def archive(view: View) -> Mapping[str, Any]:
    """Return a page of the finished videos."""
    gateway, who = view.gateway, view.who
    cursor = view.query("cursor")
    found = await gateway.jobs.jobs(who, JobFilter(status=Status.COMPLETED), PAGE_VIDEOS, cursor)
    files = await gateway.content.files(who, [listed.job for listed in found.jobs])
    return {
        "jobs": found.jobs,
        "files": files,
        "posters": {
            listed.job.id: poster_address(view, listed.job, files.get(listed.job.id))
            for listed in found.jobs
        },
        "next": found.next_cursor,
        "cursor": cursor,
        "archiving": gateway.content.archiving,
    }
