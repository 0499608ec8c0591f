"""The destinations of a new job: its own URL, endpoints, or the default endpoint."""

from collections.abc import Sequence

from reelhook.core.payloads import Formats
from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.endpoint import DEFAULT_ENDPOINT
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.signature import check_secret
from reelhook.ports import Destination


class Destinations:
    """Makes the destinations of new jobs. `has_default_endpoint`: WEBHOOK_URL is set."""

    def __init__(self, formats: Formats, *, has_default_endpoint: bool) -> None:
        self._formats = formats
        self._has_default_endpoint = has_default_endpoint

    def of(
        self, project: str, own: Destination | None, endpoints: Sequence[str]
    ) -> tuple[Destination, ...]:
        """Return the destinations of a job of a project, given its own URL's if it has one."""
        destinations = [Destination(endpoint) for endpoint in dict.fromkeys(endpoints)]
        if own is not None:
            destinations.append(own)
        is_default = project == DEFAULT_PROJECT  # the store knows those of other projects
        if not destinations and is_default and self._has_default_endpoint:
            destinations = [Destination(DEFAULT_ENDPOINT)]
        return tuple(destinations)

    def own(
        self, project: str, url: str | None, secret: str | None, body_format: str | None
    ) -> Destination | None:
        """Return the destination of a request's own URL, or None if it has none.

        Raises `InvalidRequestError` for a secret that can't sign or has no URL, or a format that
        does not exist.
        """
        if body_format is not None:
            self._formats.check(body_format, "callback_format")
        if secret is not None:
            check_secret("callback_secret", secret)
            if url is None:
                raise InvalidRequestError("callback_secret", Problem.NEEDS_WEBHOOK_URL)
        return None if url is None else Destination.to(url, project, secret, body_format)
