"""The outcome of a paid request, as its response shows it.

A create may be sent again only if the provider definitely did not accept it.
"""

from collections.abc import Callable

from reelhook.domain.report import Accepted, InDoubt, SubmitOutcome
from reelhook.providers.http.error_mapping import error_message, refusal_from
from reelhook.providers.http.json_fields import Fields
from reelhook.providers.http.response import ProviderResponse

_GATEWAYS = frozenset({408, 502, 504})


def outcome(
    response: ProviderResponse, accepted: Callable[[Fields], Accepted | None], now: float
) -> SubmitOutcome:
    """Return the outcome of a paid request with this response. `now`: Unix seconds."""
    match response.status:
        case _ if response.ok:
            job = accepted(response.fields())
            return job or InDoubt(
                f"HTTP {response.status} without a readable id: {error_message(response)}"
            )
        case status if 400 <= status < 500 and status not in {408, 409}:
            return refusal_from(response, now)
        case status:
            return InDoubt(
                f"HTTP {status}: {error_message(response)}", ended=_ended_by_server(response)
            )


def _ended_by_server(response: ProviderResponse) -> bool:
    """Return True if the server itself has refused the request, so that nothing is in flight.

    A proxy that has lost the server, or waited too long for it, uses other statuses (RFC 9110,
    15.6; Cloudflare's from 520 on), and usually sends a page instead of JSON.
    """
    return (
        400 <= response.status < 520 and response.status not in _GATEWAYS and response.is_object()
    )
