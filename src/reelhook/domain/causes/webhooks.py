"""The causes that hold up webhooks."""

from dataclasses import dataclass

from reelhook.domain.causes.cause import Cause, CauseName, Remedy
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import Disabled
from reelhook.domain.errors import Fact
from reelhook.domain.event import Instant

ADDRESS_REFUSED = "address_refused"
"""The class of an attempt that a rule for addresses has stopped; see `WebhookResponse.error`."""


@dataclass(frozen=True, slots=True)
class HeldEndpoint:
    """An endpoint, as far as it can hold up webhooks. `origin` is that of its URL."""

    id: str
    origin: str
    disabled: Disabled | None = None
    disabled_at: Instant | None = None
    failing_since: Instant | None = None
    probe_due_at: Instant | None = None
    description: str | None = None

    @property
    def facts(self) -> dict[str, Fact]:
        """The facts of every cause that is about it. `receiver` is what people call it."""
        name = self.description or self.origin
        return {"endpoint": self.id, "url": self.origin, "receiver": name}


@dataclass(frozen=True, slots=True)
class HeldWebhook:
    """A delivery whose next event waits, or whose last one failed at every attempt.

    `due_at` None: nothing waits. `attempts` were made at the next event, the first of them at
    `tried_at`; `response` is the last one's. `failed_at` is the time of the last attempt of an
    event that is not sent any more, and that nobody has resent.
    """

    delivery_id: int
    job_id: str
    receiver: HeldEndpoint
    due_at: Instant | None = None
    attempts: int = 0
    tried_at: Instant | None = None
    failed_at: Instant | None = None
    response: WebhookResponse | None = None


def cause_of_webhook(webhook: HeldWebhook, attempts_max: int) -> Cause | None:
    """Return the cause that holds up a delivery; None: it is being sent, or nothing waits."""
    receiver = webhook.receiver
    if webhook.due_at is None:
        if webhook.failed_at is None:
            return None
        return Cause(
            CauseName.EXHAUSTED,
            Remedy.RESEND,
            since=webhook.failed_at,
            about=receiver.id,
            facts=_facts(webhook) | {"attempts": webhook.attempts or attempts_max},
        )
    if (held := cause_of_receiver(receiver, webhook.response)) is not None:
        return held
    if webhook.attempts == 0:
        return None
    attempt = webhook.attempts + 1
    return Cause(
        CauseName.RETRYING,
        Remedy.SHOW_DELIVERY,
        since=webhook.tried_at,
        next_at=webhook.due_at,
        about=receiver.id,
        facts=_facts(webhook) | {"attempt": attempt, "attempts_max": max(attempts_max, attempt)},
    )


def cause_of_receiver(receiver: HeldEndpoint, response: WebhookResponse | None) -> Cause | None:
    """Return the cause that holds up all that waits for an endpoint.

    `response` is the last one of an attempt there.
    """
    facts = receiver.facts | {"response": words_of(response)}
    if receiver.disabled is not None:
        return Cause(
            CauseName.ENDPOINT_DISABLED,
            Remedy.ENABLE_ENDPOINT,
            since=receiver.disabled_at,
            about=receiver.id,
            variant=receiver.disabled.value,
            facts=facts,
        )
    refused = response is not None and response.error == ADDRESS_REFUSED
    if not refused and receiver.probe_due_at is None:
        return None
    return Cause(
        CauseName.ENDPOINT_REFUSED if refused else CauseName.ENDPOINT_OPEN,
        Remedy.CHANGE_ENDPOINT if refused else Remedy.TEST_ENDPOINT,
        since=receiver.failing_since,
        next_at=receiver.probe_due_at,
        about=receiver.id,
        facts=facts,
    )


def words_of(response: WebhookResponse | None) -> str | None:
    """Return a response in words: its status, or the reason why there was none."""
    if response is None:
        return None
    if response.status is not None:
        return f"HTTP {response.status}"
    return response.detail or response.error


def _facts(webhook: HeldWebhook) -> dict[str, Fact]:
    return webhook.receiver.facts | {
        "delivery": webhook.delivery_id,
        "response": words_of(webhook.response),
    }
