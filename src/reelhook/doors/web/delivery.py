"""One delivery: each attempt with what was sent and what the receiver said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reelhook.domain.errors import DeliveryNotFoundError
from reelhook.doors.web.forms import whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.verifying import VERIFY_IN_JAVASCRIPT, VERIFY_IN_PYTHON
from reelhook.doors.web.view import View
from reelhook.gateway import StoredDelivery

router = new_router()


@dataclass(frozen=True, slots=True)
class SignedText:
    """The text that Standard Webhooks signs, as a receiver can compare it with what it got."""

    begins: str
    body_bytes: int
    body_sha256: str
    all_bytes: int


@page(router, "/jobs/{job_id}/deliveries/{delivery_id}", "delivery.html", idle_seconds=3)
async def delivery(view: View) -> Mapping[str, Any]:
    """Return a delivery with its attempts."""
    gateway, who, job_id = view.gateway, view.who, view.named("job_id")
    delivery_id = delivery_number(view.named("delivery_id"))
    stored, _ = await gateway.deliveries.one(who, delivery_id)
    if stored.delivery.job_id != job_id:
        raise DeliveryNotFoundError(delivery_id)
    sent = await gateway.deliveries.sent(who, delivery_id)
    return {
        "job_id": job_id,
        "stored": stored,
        "attempts": sent,
        "texts": [_text(one.headers, one.body, one.signed_bytes) for one in sent],
        "endpoint": await _endpoint_name(view, stored),
        "python": VERIFY_IN_PYTHON,
        "javascript": VERIFY_IN_JAVASCRIPT,
    }


def delivery_number(text: str) -> int:
    """Return the id of a delivery. Raises `DeliveryNotFoundError` if it can't be one."""
    number = whole_number(text)
    if number is None:
        raise DeliveryNotFoundError(text)
    return number


def _text(headers: Mapping[str, str], body: bytes | None, signed_bytes: int) -> SignedText | None:
    if body is None or not signed_bytes:
        return None
    begins = f"{headers['webhook-id']}.{headers['webhook-timestamp']}."
    return SignedText(begins, len(body), sha256(body).hexdigest(), signed_bytes)


async def _endpoint_name(view: View, stored: StoredDelivery) -> str:
    endpoints: Sequence[Any] = await view.gateway.endpoints.all(view.who)
    names: dict[str, str] = {one.id: one.description or one.url for one in endpoints}
    return names.get(stored.delivery.endpoint_id, stored.url)
