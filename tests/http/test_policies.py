"""Each route declares who may use it, and the guard uses nothing else."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from gateways import gateway
from starlette.types import Scope

from reelhook.domain.caller import Scope as KeyScope
from reelhook.doors import access, admission, guard, policy
from reelhook.doors.app import PAGES, ROUTERS, declared_routes
from reelhook.doors.policy import (
    DeclaredRoutes,
    KeyRoute,
    Matched,
    Policy,
    PolicyRoute,
    need_of,
    needs,
)

JOB = "/api/sora/videos/{job_id}/download"
POSTER = "/api/sora/videos/{job_id}/poster"
OTHERS = {
    ("GET", JOB): Policy.SIGNED_DOWNLOAD,
    ("HEAD", JOB): Policy.SIGNED_DOWNLOAD,
    ("GET", POSTER): Policy.SIGNED_DOWNLOAD,
    ("HEAD", POSTER): Policy.SIGNED_DOWNLOAD,
    ("GET", "/api/download"): Policy.SIGNED_DOWNLOAD,
    ("HEAD", "/api/download"): Policy.SIGNED_DOWNLOAD,
    ("POST", "/providers/{provider}/webhook/{token}"): Policy.CALLBACK,
    ("GET", "/providers/files/{token}"): Policy.CALLBACK,
    ("HEAD", "/providers/files/{token}"): Policy.CALLBACK,
    ("GET", "/.well-known/webhooks/jwks.json"): Policy.OPEN,
    ("GET", "/healthz"): Policy.OPEN,
    ("GET", "/readyz"): Policy.OPEN,
}
"""The routes that do more than ask for the key. Those of pages: see `tests/web`."""


def scope(method: str, path: str, **more: Any) -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": [], **more}


def our_routes() -> list[APIRoute]:
    pages = {id(route) for router in PAGES for route in router.routes}
    routes = [one for router in ROUTERS for one in router.routes if id(one) not in pages]
    assert all(isinstance(route, APIRoute) for route in routes)
    return routes  # type: ignore[return-value] # as asserted


def test_every_route_declares_a_policy() -> None:
    declared = {
        (method, route.path): route.policy if isinstance(route, PolicyRoute) else None
        for route in our_routes()
        for method in route.methods or ()
    }
    assert None not in declared.values()
    assert {key: found for key, found in declared.items() if found is not Policy.KEY} == OTHERS
    assert len(declared) > 30


async def test_the_application_serves_no_route_beside_the_declared_ones(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        app: Any = server.hook.asgi
        served = {
            (method.upper(), path)
            for path, operations in app.openapi()["paths"].items()
            for method in operations
        }
        undeclared = [route for route in app.routes if not isinstance(route, PolicyRoute)]
    ours = {(method, one.path_format) for one in our_routes() for method in one.methods or ()}
    assert served == {key for key in ours if key[0] != "HEAD"}
    documents = {getattr(route, "path", "") for route in undeclared}
    assert documents == {
        *("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc", "/docs/assets")
    }


def test_a_route_without_a_policy_is_not_served() -> None:
    with pytest.raises(TypeError, match="route_class"):
        DeclaredRoutes().add(APIRoute("/new", lambda: None))


def test_a_route_for_keys_without_a_scope_is_not_served() -> None:
    def new() -> None:
        pass

    with pytest.raises(TypeError, match="needs"):
        DeclaredRoutes().add(KeyRoute("/new", new))
    DeclaredRoutes().add(KeyRoute("/new", needs(KeyScope.READ)(new)))


def test_the_routes_that_serve_a_browser_token_are_these() -> None:
    found = {
        (route.path, need.one_job)
        for route in our_routes()
        if (need := need_of(route)) is not None and need.one_job is not None
    }
    assert found == {
        ("/api/videos/status/{job_id}", "job_id"),
        ("/api/jobs/events", "jobIds"),
        (JOB, "job_id"),
        (POSTER, "job_id"),
        ("/api/download", "jobId"),
    }


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/healthz", (Policy.OPEN, None)),
        ("POST", "/healthz", (Policy.OPEN, None)),
        ("GET", "/healthz/", (Policy.KEY, None)),
        ("GET", "//healthz", (Policy.KEY, None)),
        ("GET", "/nowhere", (Policy.KEY, None)),
        ("POST", "/providers/fal/webhook/abc", (Policy.CALLBACK, None)),
        ("POST", "/providers/fal", (Policy.KEY, None)),
        ("GET", "/api/jobs/job_1", (Policy.KEY, "job_1")),
        ("HEAD", "/api/sora/videos/job_1/download", (Policy.SIGNED_DOWNLOAD, "job_1")),
        ("GET", "/api/sora/videos/job_1/poster", (Policy.SIGNED_DOWNLOAD, "job_1")),
        ("POST", "/api/sora/videos/job_1/download", (Policy.SIGNED_DOWNLOAD, "job_1")),
        ("GET", "/api/sora/videos/a/b/download", (Policy.KEY, None)),
        ("GET", "/api/download", (Policy.SIGNED_DOWNLOAD, None)),
    ],
)
def test_the_policy_is_that_of_the_route_that_serves_the_request(
    method: str, path: str, expected: tuple[Policy, str | None]
) -> None:
    routes = declared_routes(FastAPI(openapi_url=None))
    below = scope(method, f"/video{path}", root_path="/video")
    for request in (scope(method, path), below):
        matched = routes.match(request)
        assert (matched.policy, matched.job_id) == expected


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/generate", "POST"),
        ("POST", "/healthz", "GET"),
        ("PUT", "/v1/videos", "GET, POST"),
        ("PATCH", "/api/projects", "GET, POST"),
        ("POST", "/api/endpoints/ep_1", "DELETE, GET, PATCH"),
        ("GET", "/api/deliveries/resend", "POST"),
        ("GET", "/v1/videos/edits", "POST"),
        ("DELETE", "/openapi.json", "GET, HEAD"),
        ("GET", "/api/jobs/job_1", ""),
        ("POST", "/api/deliveries/resend", ""),
        ("HEAD", "/openapi.json", ""),
        ("GET", "/nowhere", ""),
    ],
)
def test_a_wrong_method_is_answered_with_the_methods_of_the_path(
    method: str, path: str, allowed: str
) -> None:
    routes = declared_routes(FastAPI())
    for request in (scope(method, path), scope(method, f"/video{path}", root_path="/video")):
        assert routes.match(request).allowed == tuple(allowed.split(", ") if allowed else ())


def test_a_parameter_of_the_application_around_us_names_no_job() -> None:
    routes = declared_routes(FastAPI(openapi_url=None))
    mounted = {"root_path": "/tenants/other", "path_params": {"job_id": "other"}}
    found = routes.match(scope("GET", "/tenants/other/api/download", **mounted))
    assert (found.policy, found.job_id) == (Policy.SIGNED_DOWNLOAD, None)


def test_an_unknown_path_needs_a_key_of_any_scope() -> None:
    routes = declared_routes(FastAPI(openapi_url=None))
    assert routes.match(scope("GET", "/nowhere")) == Matched(Policy.KEY)


@pytest.mark.parametrize("module", [access, admission, guard, policy])
def test_no_path_is_compared_with_a_text(module: Any) -> None:
    tree = ast.parse(inspect.getsource(module))
    texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)]
    paths = [text for text in texts if isinstance(text, str) and text.startswith("/")]
    assert [path for path in paths if path != "/"] == []
