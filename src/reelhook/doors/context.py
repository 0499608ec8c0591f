"""What every route is given: the service, and the options of its application."""

from dataclasses import dataclass, field
from typing import Annotated, Protocol
from urllib.parse import quote

from fastapi import Depends, Request

from reelhook.domain.signing_keys import PublicKey
from reelhook.doors.access import Access
from reelhook.doors.clients import RefusedClients
from reelhook.doors.limits import Limits
from reelhook.ports import Clock
from reelhook.service import Deliveries, Endpoints, Jobs, Operations, UseCases


class UrlCheck(Protocol):
    """Judges a URL that came in over the API: a webhook's, or that of a first image."""

    async def __call__(self, url: str, *, field: str = "webhookUrl", trusted: bool = False) -> None:
        """Raise `WebhookUrlRefusedError`, naming the field, when no request may go there.

        For the field `image` it is `ImageUrlRefusedError`: the provider fetches the image, and
        may stand in the operator's network.
        `trusted`: the operator names it, so that only its syntax is judged.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What the routes need beside the service."""

    access: Access
    public_url: str
    default_model: str | None
    check_url: UrlCheck
    clock: Clock
    public_keys: tuple[PublicKey, ...] = ()
    limits: Limits = field(default_factory=Limits)
    clients: RefusedClients = field(default_factory=RefusedClients)

    def video_url(self, job_id: str) -> str:
        """Return the stable address of a job's video."""
        query = self.access.download_query(job_id)
        return f"{self.public_url}/api/sora/videos/{quote(job_id, safe='')}/download{query}"


def use_cases_of(request: Request) -> UseCases:
    """Return the use cases of the request's application."""
    use_cases: UseCases = request.app.state.use_cases
    return use_cases


def options_of(request: Request) -> HttpOptions:
    """Return the options of the request's application."""
    options: HttpOptions = request.app.state.options
    return options


def _jobs(request: Request) -> Jobs:
    return use_cases_of(request).jobs


def _endpoints(request: Request) -> Endpoints:
    return use_cases_of(request).endpoints


def _deliveries(request: Request) -> Deliveries:
    return use_cases_of(request).deliveries


def _operations(request: Request) -> Operations:
    return use_cases_of(request).operations


ServiceOf = Annotated[Jobs, Depends(_jobs)]
EndpointsOf = Annotated[Endpoints, Depends(_endpoints)]
DeliveriesOf = Annotated[Deliveries, Depends(_deliveries)]
OperationsOf = Annotated[Operations, Depends(_operations)]
