"""The keys of projects, and the projects."""

from collections.abc import Mapping
from typing import Any

from reelhook.domain.api_key import NAME_CHARACTERS_MAX
from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.doors.web.actions import Done, Result, Shown, action
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import Banner, View

router = new_router()
SCOPES = ("read", "submit", "operate", "admin")
OVERLAP_SECONDS = 24 * 3600
DAYS_MAX = 3650


@page(router, "/keys", "keys.html", Scope.ADMIN)
async def keys(view: View) -> Mapping[str, Any]:
    """Return the keys, and for the operator the projects."""
    found = await view.gateway.keys.all(view.who)
    is_operator = view.who.allows(Scope.OPERATOR)
    return {
        "keys": sorted(found, key=lambda key: (key.ended(view.now), -key.created_at)),
        "projects": await view.gateway.projects.all(view.who) if is_operator else [],
        "scopes": SCOPES,
        "name_max": NAME_CHARACTERS_MAX,
        "keyless": not found and not view.has_session,
    }


@action(router, "/keys", Scope.ADMIN, keys)
async def create(view: View, form: Form) -> Result:
    """Create a key. Its text is shown once."""
    context = await view.context.within(form.get("project") or None)
    text = form.get("days", "").strip()
    days = whole_number(text)
    if text and (days is None or not 1 <= days <= DAYS_MAX):
        raise InvalidRequestError("days", f"The days must be a whole number up to {DAYS_MAX}")
    _, token = await view.gateway.keys.create(
        context.caller,
        form.get("name", "").strip(),
        [form.get("scope", "read")],
        lifetime_seconds=None if days is None else days * 24 * 3600,
    )
    view.options.access.key_made.known = True
    return Shown(Banner("The key is created. It is shown only now:", secret=token))


@action(router, "/keys/{key_id}/rotate", Scope.ADMIN, keys)
async def rotate(view: View, form: Form) -> Result:
    """Give a key a new text. The present one is accepted for a day."""
    key_id = view.named("key_id")
    _, token = await view.gateway.keys.rotate(view.who, key_id, OVERLAP_SECONDS)
    text = "The key has a new text; the old one is accepted for 24 h. It is shown only now:"
    return Shown(Banner(text, secret=token))


@action(router, "/keys/{key_id}/revoke", Scope.ADMIN, keys)
async def revoke(view: View, form: Form) -> Result:
    """End a key."""
    await view.gateway.keys.revoke(view.who, view.named("key_id"))
    return Done(view.to("keys"), "key_revoked")


@action(router, "/keys/projects", Scope.OPERATOR, keys)
async def create_project(view: View, form: Form) -> Result:
    """Create a project."""
    await view.gateway.projects.create(view.who, form.get("name", "").strip())
    return Done(view.to("keys"), "project_made")


@action(router, "/keys/projects/{project_id}/close", Scope.OPERATOR, keys)
async def close_project(view: View, form: Form) -> Result:
    """Stop a project's keys, and take no new jobs in it."""
    await view.gateway.projects.close(view.who, view.named("project_id"))
    return Done(view.to("keys"), "project_closed")
