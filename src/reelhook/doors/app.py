"""The HTTP application: one FastAPI app, mounted by a team's own or served by ours."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

import reelhook
from reelhook.doors import callbacks, provider_files, web
from reelhook.doors.admission import Admissions
from reelhook.doors.bodies import Bodies
from reelhook.doors.budget_errors import install_budget_errors
from reelhook.doors.compat import downloads
from reelhook.doors.compat import routes as compat
from reelhook.doors.context import HttpOptions
from reelhook.doors.error_form import ErrorForm, ErrorForms
from reelhook.doors.errors import OWN_FORM, install_errors
from reelhook.doors.guard import Guard
from reelhook.doors.limits import REFUSALS, Refusals, StreamSlots
from reelhook.doors.live import sse
from reelhook.doors.native import (
    archive,
    audit,
    budgets,
    deliveries,
    encryption,
    endpoints,
    jobs,
    jwks,
    keys,
    models,
    operations,
    projects,
    uploads,
)
from reelhook.doors.native.schemas import ErrorResponse
from reelhook.doors.openai import content as openai_content
from reelhook.doors.openai import create as openai_create
from reelhook.doors.openai import models as openai_models
from reelhook.doors.openai import refused as openai_refused
from reelhook.doors.openai import videos as openai_videos
from reelhook.doors.openai.errors import FORM as OPENAI_FORM
from reelhook.doors.openapi import described, serve_document
from reelhook.doors.policy import DeclaredRoutes, Policy
from reelhook.doors.vercel import create as vercel_create
from reelhook.doors.vercel import status as vercel_status
from reelhook.doors.vercel.errors import FORM as VERCEL_FORM
from reelhook.doors.web.error_page import page_form
from reelhook.gateway import Gateway

DESCRIPTION = """
A self-hosted gateway for AI video jobs. It creates each job once, watches it, and reports changes
by signed webhooks. Every error is JSON: `error` says what is wrong and what to do; `code` is
stable.

Requests that exceed a limit are refused with these codes, some before any key is checked:

"""
DESCRIPTION += "".join(f"- `{code}`, {meaning}\n" for code, meaning in REFUSALS.items())

PAGES = web.ROUTERS
ROUTERS = (
    openai_videos.router,  # the first ones, since they are read most: routes are matched in order
    openai_create.router,
    sse.router,  # before the jobs: /api/jobs/events is not a job
    compat.creating,
    compat.router,
    jobs.router,
    uploads.router,
    endpoints.router,
    projects.router,
    deliveries.router,
    downloads.router,
    keys.router,
    keys.token_router,
    budgets.router,
    operations.router,
    operations.health_router,
    audit.router,
    encryption.router,
    archive.router,
    jwks.router,
    models.router,
    callbacks.router,
    provider_files.router,
    openai_content.router,
    openai_models.router,
    vercel_create.router,
    vercel_status.router,
    openai_refused.router,
    *PAGES,
)
ERROR_FORMS: Mapping[str, ErrorForm] = {"/v1": OPENAI_FORM, "/v4/ai": VERCEL_FORM}
"""The forms of errors of the doors that have their own, by the beginning of their paths."""
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Range"),
    # The `openai` library sends these from a browser (openai-node 7: `client.ts`,
    # `internal/detect-platform.ts`, `lib/polling.ts`).
    *("OpenAI-Organization", "OpenAI-Project"),
    *("X-Stainless-Arch", "X-Stainless-Lang", "X-Stainless-OS", "X-Stainless-Package-Version"),
    *("X-Stainless-Runtime", "X-Stainless-Runtime-Version"),
    *("X-Stainless-Retry-Count", "X-Stainless-Timeout", "X-Stainless-Helper-Method"),
    *("X-Stainless-Poll-Helper", "X-Stainless-Custom-Poll-Interval"),
)
CORS_EXPOSED = (
    *("Accept-Ranges", "Content-Length", "Content-Range", "ETag"),
    *("RateLimit", "RateLimit-Policy", "Retry-After"),
    # It reads these (`client.ts`, `lib/polling.ts`).
    *("x-should-retry", "openai-poll-after-ms"),
)
CORS_SECONDS = 600
"""The time for which a browser may keep the response to a preflight."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorResponse, "description": "What is wrong, and what to do"},
    "500": {
        "model": ErrorResponse,
        "description": "`acceptance_unknown`: it may have been done, so check before you"
        " send it again; `internal_error`: reelhook failed",
        "headers": {
            "x-should-retry": {
                "description": "`false` with `acceptance_unknown`",
                "schema": {"type": "string"},
            }
        },
    },
    "503": {
        "model": ErrorResponse,
        "description": "`store_unavailable`: nothing was written, so send it again later",
        "headers": {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}},
    },
    "5XX": {"model": ErrorResponse, "description": "reelhook or the provider failed"},
}


def create_app(gateway: Gateway, options: HttpOptions) -> FastAPI:
    """Build the application."""
    app = FastAPIOffline(
        static_url="/docs/assets",
        title="reelhook",
        version=reelhook.__version__,
        description=DESCRIPTION,
    )
    serve_document(app)
    routes = declared_routes(app)
    app.state.gateway = gateway
    app.state.options = options
    app.state.stream_slots = StreamSlots(options.limits.streams_max)
    # Shared by all applications. To include routers would make a second copy of each route.
    app.router.routes.extend(route for router in ROUTERS for route in router.routes)
    with_key = options.access.api_key is not None or options.access.key_made.known
    app.openapi = partial(described, app, routes, RESPONSES, with_key=with_key)  # type: ignore[method-assign] # FastAPI's documented way
    refusals = Refusals()
    forms = ErrorForms(OWN_FORM, ERROR_FORMS, partial(page_form, app))
    install_errors(app, refusals, options.clients, forms)
    install_budget_errors(app, forms)
    app.add_middleware(
        Guard,
        admissions=Admissions(options.access, gateway.authentication, options.clock),
        routes=routes,
        bodies=Bodies(options.limits),
        refusals=refusals,
        clients=options.clients,
        forms=forms,
    )
    if options.cors_origins:
        # The outermost one: a browser's preflight carries no key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED,
            max_age=CORS_SECONDS,
        )
    return app


def declared_routes(app: FastAPI) -> DeclaredRoutes:
    """Return the routes of a new application, its documentation first, with their policies.

    Raises `TypeError` if one of our routes declares none.
    """
    routes = DeclaredRoutes()
    for route in app.routes:
        routes.add(route, Policy.DOCUMENT)
    for router in ROUTERS:
        for route in router.routes:
            routes.add(route)
    return routes
