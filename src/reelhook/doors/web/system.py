"""The installation: the watcher, its pauses, the latest changes by people, and versions."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from reelhook.domain.audit import AuditEntry
from reelhook.domain.caller import Scope
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.worker import WorkerLeases
from reelhook.doors.context import CheckResult
from reelhook.doors.web.actions import Done, Result, Shown, action
from reelhook.doors.web.forms import Form
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import Banner, View
from reelhook.gateway import AuditFilter

router = new_router()
ENTRIES = 30


@dataclass(frozen=True, slots=True)
class Examined:
    """The findings of the last check of this process, and its time."""

    at: Instant
    findings: Sequence[CheckResult]


@dataclass(frozen=True, slots=True)
class ShownWorker:
    """A worker and its leases; `worker` None: the leases that nobody holds."""

    worker: str | None
    alive: bool
    accounts: Sequence[str]
    lanes: int
    maintenance: bool


_EXAMINED: WeakKeyDictionary[object, Examined] = WeakKeyDictionary()


@page(router, "/system", "system.html")
async def system(view: View) -> Mapping[str, Any]:
    """Return the state of the installation, as far as the caller may see it."""
    gateway, who = view.gateway, view.who
    watcher, workers = None, list[WorkerLeases]()
    is_operator = who.allows(Scope.OPERATOR) and not view.one_project
    if is_operator:
        watcher, _ = await gateway.operations.accounts(who)
        workers = list(await gateway.operations.workers(who))
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
        "workers": [_shown_worker(one) for one in workers],
        "may_examine": view.options.examine is not None and is_operator,
        "examined": _EXAMINED.get(view.request.app) if is_operator else None,
    }


def _shown_worker(one: WorkerLeases) -> ShownWorker:
    accounts = [lease.partition(":")[2] for lease in one.leases if lease.startswith("account:")]
    lanes = sum(lease.startswith("lane:") for lease in one.leases)
    maintenance = any(lease.startswith("chores:") for lease in one.leases)
    return ShownWorker(one.worker, one.alive, accounts, lanes, maintenance)


@action(router, "/system/doctor", Scope.OPERATOR, system)
async def examine(view: View, form: Form) -> Result:
    """Check the installation, as `reelhook doctor` does. It changes nothing."""
    if view.options.examine is None:
        raise InvalidRequestError("doctor", "This server can't run it; use `reelhook doctor`")
    findings = await view.options.examine()
    _EXAMINED[view.request.app] = Examined(view.options.clock.now(), findings)
    wrong = sum(finding.verdict != "ok" for finding in findings)
    if not wrong:
        return Shown(Banner(f"All {len(findings)} checks found nothing wrong"))
    return Shown(Banner(f"{wrong} of {len(findings)} checks found something", "bad"))


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
