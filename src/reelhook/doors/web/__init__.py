"""The dashboard: pages for people, at `/`. It reads and acts through the gateway alone."""

from reelhook.doors.web import (
    archive,
    assets,
    costs,
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
