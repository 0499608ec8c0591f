"""The receivers of webhooks, and the page of one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from reelhook.domain.caller import Scope
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import Endpoint, EndpointKind
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import iso
from reelhook.domain.request import SHORT_CHARACTERS_MAX, check_text
from reelhook.doors.web.actions import Done, Result, Shown, action
from reelhook.doors.web.endpoint_settings import (
    URL_CHARACTERS_MAX,
    changed_fields,
    settings_of,
)
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.states import endpoint_state
from reelhook.doors.web.tallies import webhook_figure
from reelhook.doors.web.verifying import VERIFY_IN_JAVASCRIPT, VERIFY_IN_PYTHON
from reelhook.doors.web.view import Banner, View
from reelhook.gateway import DeliveryFilter, EndpointFields, percentiles

router = new_router()
PAGE_DELIVERIES = 50
STATES = ("waiting", "delivered", "failed", "ended")
_HOUR = 3_600_000
PERIODS = {"1": "the last hour", "24": "the last 24 hours", "168": "the last 7 days"}


@dataclass(frozen=True, slots=True)
class FailedInPeriod:
    """The events that failed at an endpoint in a period. `more`: there may be more of them."""

    hours: str
    words: str
    count: int
    more: bool


@page(router, "/webhooks", "webhooks.html", idle_seconds=3)
async def webhooks(view: View) -> Mapping[str, Any]:
    """Return the endpoints, those that are held back first."""
    gateway, who = view.gateway, view.who
    day = await gateway.activity.last_day(who)
    held_back = {one.id: one for one in await gateway.endpoints.held_back(who)}
    others = [one for one in await gateway.endpoints.all(who) if one.id not in held_back]
    endpoints = [*held_back.values(), *others]
    return {
        "endpoints": endpoints,
        "figures": {one.id: webhook_figure(day, one.id) for one in endpoints},
        "all": webhook_figure(day),
        "lag": percentiles([lag.milliseconds for lag in day.lags]),
        "running": await gateway.activity.running(who),
    }


@page(
    router,
    "/webhooks/{endpoint_id}",
    "endpoint.html",
    idle_seconds=3,
    state_of=lambda values: endpoint_state(values["endpoint"]),
)
async def endpoint(view: View) -> Mapping[str, Any]:
    """Return one endpoint with its newest deliveries."""
    gateway, who, endpoint_id = view.gateway, view.who, view.named("endpoint_id")
    one = await gateway.endpoints.one(who, endpoint_id)
    state = view.query("state")
    if state not in STATES:
        state = None
    cursor = view.query("cursor")
    wanted = DeliveryFilter(state=state, endpoint_id=endpoint_id)
    found = await gateway.deliveries.page(who, wanted, PAGE_DELIVERIES, whole_number(cursor))
    day = await gateway.activity.last_day(who)
    lags = [lag.milliseconds for lag in day.lags if lag.endpoint_id == endpoint_id]
    return {
        "endpoint": one,
        "figure": webhook_figure(day, endpoint_id),
        "lag": percentiles(lags),
        "deliveries": found.deliveries,
        "next": found.next_cursor,
        "cursor": cursor,
        "state": state,
        "states": STATES,
        "periods": PERIODS,
        "failed": await _failed(view, endpoint_id),
        "registered": one.kind is EndpointKind.REGISTERED,
        "settings": settings_of(view, one),
        "python": VERIFY_IN_PYTHON,
        "javascript": VERIFY_IN_JAVASCRIPT,
        "events": sorted(event.value for event in one.events),
        "previous_until": one.previous_until if one.honoured_previous(view.now) else None,
    }


async def _failed(view: View, endpoint_id: str) -> FailedInPeriod | None:
    """Return the number of what failed in the period that a person asks about, if one does."""
    hours = (view.form or {}).get("hours") or view.query("failed")
    if view.live or hours not in PERIODS or not view.who.allows(Scope.OPERATE):
        return None
    since = view.now - int(hours) * _HOUR
    found = await view.gateway.deliveries.count_failed(view.who, since, endpoint_id)
    return FailedInPeriod(hours, PERIODS[hours], found.count, found.more)


@action(router, "/webhooks", Scope.OPERATE, webhooks)
async def register(view: View, form: Form) -> Result:
    """Register an endpoint. Its secret is shown once."""
    url, about = form.get("url", "").strip(), form.get("description", "").strip()
    check_text("url", url, URL_CHARACTERS_MAX)
    if about:
        check_text("description", about, SHORT_CHARACTERS_MAX)
    await view.context.options.check_url(url, field="url")
    fields: dict[str, Any] = {"broadcast": "broadcast" in form}
    if about:
        fields["description"] = about
    made = await view.gateway.endpoints.register(view.who, url, cast("EndpointFields", fields))
    return Shown(
        Banner("The endpoint is registered. Its secret is shown only now:", secret=made.secret)
    )


@action(router, "/webhooks/{endpoint_id}/enable", Scope.OPERATE, endpoint)
async def enable(view: View, form: Form) -> Result:
    """Send to the endpoint again."""
    return await _switched(view, enabled=True)


@action(router, "/webhooks/{endpoint_id}/disable", Scope.OPERATE, endpoint)
async def disable(view: View, form: Form) -> Result:
    """Hold everything back."""
    return await _switched(view, enabled=False)


async def _switched(view: View, *, enabled: bool) -> Done:
    endpoint_id = view.named("endpoint_id")
    await view.gateway.endpoints.change(view.who, endpoint_id, {}, enabled=enabled)
    code = "endpoint_enabled" if enabled else "endpoint_disabled"
    return Done(view.to("webhooks", endpoint_id), code)


@action(router, "/webhooks/{endpoint_id}/test", Scope.OPERATE, endpoint)
async def send_test(view: View, form: Form) -> Result:
    """Send a test event, and show the response."""
    response = await view.gateway.endpoints.test(view.who, view.named("endpoint_id"))
    return Shown(Banner(_said(response), "good" if response.succeeded else "bad"))


@action(router, "/webhooks/{endpoint_id}/change", Scope.OPERATE, endpoint)
async def change(view: View, form: Form) -> Result:
    """Change the settings. Events that wait keep the bodies that they have."""
    endpoints, endpoint_id = view.gateway.endpoints, view.named("endpoint_id")
    before = await endpoints.one(view.who, endpoint_id)
    await endpoints.change(view.who, endpoint_id, await changed_fields(view, form, before))
    return Done(view.to("webhooks", endpoint_id), "endpoint_changed")


def _said(response: WebhookResponse) -> str:
    if response.status is None:
        return f"The test did not arrive: {response.detail or response.error}"
    answer = f": {response.body[:200]}" if response.body else ""
    return f"The test got {response.status} in {response.duration_ms} ms{answer}"


@action(router, "/webhooks/{endpoint_id}/rotate", Scope.OPERATE, endpoint)
async def rotate(view: View, form: Form) -> Result:
    """Sign with a new secret, which is shown once."""
    rotated: Endpoint = await view.gateway.endpoints.rotate(view.who, view.named("endpoint_id"))
    text = "Webhooks are signed with a new secret, and for a while with the old one too:"
    return Shown(Banner(text, secret=rotated.secret))


@action(router, "/webhooks/{endpoint_id}/remove", Scope.OPERATE, endpoint)
async def remove(view: View, form: Form) -> Result:
    """Remove the endpoint and its waiting events."""
    await view.gateway.endpoints.remove(view.who, view.named("endpoint_id"))
    return Done(view.to("webhooks"), "endpoint_removed")


@action(router, "/webhooks/{endpoint_id}/resend", Scope.OPERATE, endpoint)
async def resend_failed(view: View, form: Form) -> Result:
    """Send all events again that failed in a period, if their number was typed."""
    hours = form.get("hours", "24")
    if hours not in PERIODS:
        raise InvalidRequestError("hours", "Choose one of the periods")
    endpoint_id, since = view.named("endpoint_id"), view.now - int(hours) * _HOUR
    await view.gateway.endpoints.one(view.who, endpoint_id)
    deliveries = view.gateway.deliveries
    count = (await deliveries.count_failed(view.who, since, endpoint_id)).count
    if form.get("count", "").strip() != str(count):
        message = f"{count:,} failed in {PERIODS[hours]}. Type {count} to send them again"
        raise InvalidRequestError("count", message)
    await deliveries.resend_failed(view.who, since, endpoint_id)
    return Done(view.to("webhooks", endpoint_id, since=iso(since)), "resending")
