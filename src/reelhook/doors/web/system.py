"""The installation: the watcher, its pauses, the latest changes by people, and versions."""

import platform
from collections.abc import Mapping
from typing import Any

from reelhook.domain.audit import AuditEntry
from reelhook.domain.caller import Scope
from reelhook.doors.web.actions import Done, Result, action
from reelhook.doors.web.forms import Form
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import View
from reelhook.gateway import AuditFilter

router = new_router()
ENTRIES = 30


@page(router, "/system", "system.html")
async def system(view: View) -> Mapping[str, Any]:
    """Return the state of the installation, as far as the caller may see it."""
    gateway, who = view.gateway, view.who
    watcher = None
    if who.allows(Scope.OPERATOR) and not view.one_project:
        watcher, _ = await gateway.operations.accounts(who)
    entries: tuple[tuple[int, AuditEntry], ...] = ()
    if who.allows(Scope.ADMIN):
        entries = (await gateway.audit.page(who, AuditFilter(), ENTRIES)).entries
    return {
        "watcher": watcher,
        "paused_at": await gateway.operations.watching_paused_since(who),
        "entries": entries,
        "python": platform.python_version(),
        "public_url": view.options.public_url,
        "poll_seconds": view.options.poll_seconds,
        "needs_key": view.has_session,
        "shared": view.options.access.shared,
        "archiving": gateway.content.archiving,
    }


@action(router, "/system/pause", Scope.OPERATOR, system)
async def pause(view: View, form: Form) -> Result:
    """Stop polling providers, in every process."""
    await view.gateway.operations.pause_watching(view.who)
    return Done(view.to("system"), "paused")


@action(router, "/system/resume", Scope.OPERATOR, system)
async def resume(view: View, form: Form) -> Result:
    """Poll providers again."""
    await view.gateway.operations.resume_watching(view.who)
    return Done(view.to("system"), "resumed")
