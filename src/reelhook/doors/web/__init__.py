"""The dashboard: pages for people, at `/`. It reads and acts through the gateway alone."""

from reelhook.doors.web import assets, job, jobs, login, overview

ROUTERS = (
    overview.router,
    jobs.router,
    job.router,
    login.router,
    assets.router,
)
