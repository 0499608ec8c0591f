"""The dashboard: pages for people, at `/`. It reads and acts through the gateway alone.

A page is (1) a function from a `View` to the values of its template, under `@page`, with its scope;
(2) its template, with a `part` for whatever changes while it is open; (3) an `@action` per form,
with the page that is shown if it fails; (4) its first segment in `PAGE_SEGMENTS`, and its line in
`NAVIGATION`. `tests/web` finds it by itself and tests its roles.
"""

from reelhook.doors.web import (
    archive,
    assets,
    costs,
    delivery,
    job,
    jobs,
    keys,
    login,
    overview,
    providers,
    system,
    trying,
    webhooks,
)

ROUTERS = (
    overview.router,
    jobs.router,
    job.router,
    delivery.router,
    webhooks.router,
    providers.router,
    costs.router,
    keys.router,
    archive.router,
    system.router,
    trying.router,
    login.router,
    assets.router,
)
