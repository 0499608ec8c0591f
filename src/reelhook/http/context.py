"""What every route is given: the service, and the options of its application."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from reelhook.http.access import Access
from reelhook.service import Service


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


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def options_of(request: Request) -> HttpOptions:
    """Return the options of the request's application."""
    options: HttpOptions = request.app.state.options
    return options


ServiceOf = Annotated[Service, Depends(_service)]
