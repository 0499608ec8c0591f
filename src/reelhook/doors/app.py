"""The HTTP application: one FastAPI app, mounted by a team's own or served by ours."""

from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

import reelhook
from reelhook.doors import callbacks as providers
from reelhook.doors.access import CALLBACK_PATH, JWKS_PATH, AccessMiddleware
from reelhook.doors.bodies import Bodies
from reelhook.doors.compat import downloads
from reelhook.doors.compat import routes as seed
from reelhook.doors.context import HttpOptions
from reelhook.doors.errors import install_errors
from reelhook.doors.limits import REFUSALS, Refusals
from reelhook.doors.live import sse as streams
from reelhook.doors.native import deliveries, endpoints, jobs, operations
from reelhook.doors.native import jwks as keys
from reelhook.doors.native.schemas import ErrorResponse
from reelhook.service import UseCases

DESCRIPTION = """
A self-hosted gateway for AI video jobs: create once, watched from the server, told by signed
webhooks. Every error is JSON: `error` says what is wrong and what to do, `code` is stable.

What limits refuse, some of it before any key is looked at, has these codes:

"""
DESCRIPTION += "".join(f"- `{code}`, {words}\n" for code, words in REFUSALS.items())


OPEN_PATHS = frozenset(
    {"/healthz", "/readyz", JWKS_PATH, f"{CALLBACK_PATH}{{provider}}/webhook/{{token}}"}
)
"""What asks for no key."""


def create_app(use_cases: UseCases, options: HttpOptions) -> FastAPI:
    """Build the application."""
    app = FastAPIOffline(
        static_url="/docs/assets",
        title="reelhook",
        version=reelhook.__version__,
        description=DESCRIPTION,
        responses={
            "4XX": {"model": ErrorResponse, "description": "What is wrong, and what to do"},
            "500": {
                "model": ErrorResponse,
                "description": "`acceptance_unknown`: it may have been done, so look before you"
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
                "description": "`store_unavailable`: nothing was written, so it can be sent again",
                "headers": {
                    "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
                },
            },
            "5XX": {"model": ErrorResponse, "description": "reelhook or the provider failed"},
        },
    )
    app.state.use_cases = use_cases
    app.state.options = options
    app.state.places = streams.StreamSlots(options.limits.streams_max)
    app.include_router(streams.router)  # before the jobs: /api/jobs/events is no job's id
    for room in (seed, jobs, endpoints, deliveries, downloads, operations, keys, providers):
        app.include_router(room.router)
    if options.access.api_key is not None:
        _describe_key(app)
    refusals = Refusals()
    install_errors(app, refusals, options.clients)
    app.add_middleware(
        AccessMiddleware,
        access=options.access,
        bodies=Bodies(options.limits),
        refusals=refusals,
        clients=options.clients,
    )
    return app


def _describe_key(app: FastAPI) -> None:
    """Have the document name the key, so that its page can send it."""
    described = app.openapi

    def with_key() -> dict[str, Any]:
        document = described()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "The server's REELHOOK_API_KEY",
        }
        document["security"] = [{"key": []}]
        for path in OPEN_PATHS & document["paths"].keys():
            for operation in document["paths"][path].values():
                operation["security"] = []
        return document

    app.openapi = with_key  # type: ignore[method-assign] # FastAPI's documented way
