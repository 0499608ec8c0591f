"""The routes that routers declare, for tests that need a rule for each."""

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute


def routes_of(routers: Iterable[APIRouter]) -> dict[str, APIRoute]:
    """Return the routes, each by its method and path. The `HEAD` of a `GET` is not one more."""
    return {
        f"{method} {route.path}": route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
        if method != "HEAD" or "GET" not in (route.methods or ())
    }
