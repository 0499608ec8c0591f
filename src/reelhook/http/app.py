"""The HTTP application: one FastAPI app, mounted by a team's own or served by ours."""

from dataclasses import dataclass
from typing import Protocol

from fastapi import FastAPI

import reelhook
from reelhook.http import downloads, jobs, operations, seed, streams
from reelhook.http.access import Access, AccessMiddleware
from reelhook.http.errors import install_errors
from reelhook.http.schemas import ErrorAnswer
from reelhook.service import Service

DESCRIPTION = """
A self-hosted gateway for AI video jobs: create once, watched from the server, told by signed
webhooks. Every error is JSON: `error` says what is wrong and what to do, `code` is stable.
"""


class UrlCheck(Protocol):
    """Judges a webhook URL that came in over the API."""

    async def __call__(self, url: str) -> None:
        """Raise `WebhookUrlRefusedError` when it may not be sent to."""
        ...


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What the routes need beside the service."""

    access: Access
    public_url: str
    default_model: str
    check_url: UrlCheck

    def video_url(self, job_id: str) -> str:
        """Return the stable address of a job's video."""
        query = self.access.download_query(job_id)
        return f"{self.public_url}/api/sora/videos/{job_id}/download{query}"


def create_app(service: Service, options: HttpOptions) -> FastAPI:
    """Build the application."""
    app = FastAPI(
        title="reelhook",
        version=reelhook.__version__,
        description=DESCRIPTION,
        responses={
            "4XX": {"model": ErrorAnswer, "description": "What is wrong, and what to do"},
            "5XX": {"model": ErrorAnswer, "description": "reelhook or the provider failed"},
        },
    )
    app.state.service = service
    app.state.options = options
    app.include_router(streams.router)  # before the jobs: /api/jobs/events is no job's id
    for room in (seed, jobs, downloads, operations):
        app.include_router(room.router)
    install_errors(app)
    app.add_middleware(AccessMiddleware, access=options.access)
    return app
