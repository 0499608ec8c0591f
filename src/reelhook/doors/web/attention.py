"""What needs a person: each cause with its words, since when, and the remedy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reelhook.domain.endpoint import Disabled, Endpoint, shown_url
from reelhook.domain.event import Instant
from reelhook.doors.web.view import View
from reelhook.gateway import AccountStats, ListedJob


@dataclass(frozen=True, slots=True)
class Attention:
    """One cause that holds something up. `to` is the page of the remedy."""

    cause: str
    tone: str
    message: str
    since: Instant | None
    next: str
    remedy: str
    to: str


async def attention_of(
    view: View, held_back: Sequence[Endpoint], accounts: Sequence[AccountStats]
) -> list[Attention]:
    """Return what needs a person, the worst first."""
    in_doubt = await view.gateway.in_doubt.jobs(view.who, 1)
    return [
        *(_in_doubt(view, listed) for listed in in_doubt.jobs),
        *_accounts(view, accounts),
        *_endpoints(view, held_back),
    ]


def _in_doubt(view: View, oldest: ListedJob) -> Attention:
    return Attention(
        "in_doubt",
        "doubt",
        "It is not known whether a provider has some jobs, so they may be paid for",
        oldest.job.doubt_since or oldest.job.updated_at,
        "They are not sent again by themselves.",
        "Adopt or abandon them",
        view.to("jobs", q="status:doubt"),
    )


def _accounts(view: View, accounts: Sequence[AccountStats]) -> Iterator[Attention]:
    to = view.to("providers")
    for account in accounts:
        if account.error is not None:
            yield Attention(
                "account_refused",
                "bad",
                f"{account.id} refuses its key: {account.error}",
                None,
                f"{account.waiting + account.in_flight} jobs wait for it.",
                "Set another key",
                to,
            )
        elif account.unread is not None:
            yield Attention(
                "provider_down",
                "bad",
                f"{account.id} does not say how jobs are: {account.unread.last_response}",
                account.unread.since,
                "It is asked again in every round.",
                "See the account",
                to,
            )
        elif account.refused is not None and account.refused.waiting.tries != 0:
            yield Attention(
                "rate_limited",
                "warn",
                f"{account.id} takes no more jobs: {account.refused.waiting.last_response}",
                account.refused.waiting.since,
                "They are sent again by themselves.",
                "See the account",
                to,
            )


def _endpoints(view: View, held_back: Sequence[Endpoint]) -> Iterator[Attention]:
    for endpoint in held_back:
        called = endpoint.description or shown_url(endpoint.url)
        to = view.to("webhooks", endpoint.id)
        if endpoint.disabled is not None:
            why = {
                Disabled.OPERATOR: "is disabled",
                Disabled.FAILING: "is disabled, since it failed for 5 days",
                Disabled.GONE: "is disabled, since it responded with 410",
            }[endpoint.disabled]
            yield Attention(
                "endpoint_disabled",
                "off",
                f"{called} {why}",
                endpoint.disabled_at,
                "Its events wait until it is enabled.",
                "Enable it",
                to,
            )
        elif endpoint.health.open:
            yield Attention(
                "endpoint_open",
                "bad",
                f"{called} has failed {endpoint.health.failures} times: webhooks are held back",
                endpoint.health.failing_since,
                "One request at a time probes it.",
                "See its attempts",
                to,
            )
