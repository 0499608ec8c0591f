"""The access policies of routes. Each route declares one, by its router's `route_class`."""

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Scope


class Policy(Enum):
    """The condition under which a route serves a request."""

    KEY = "key"
    """The request has the API key. If none is configured: known hosts only, no foreign pages."""
    SIGNED_DOWNLOAD = "signed_download"
    """As `KEY`, or the request is a signed link to the one video that it names."""
    DOCUMENT = "document"
    """The API's description, which reveals nothing about an installation: no key is needed.
    If no key is configured: as `KEY`."""
    CALLBACK = "callback"
    """The address was given to a provider. The token in it is the key."""
    OPEN = "open"
    """Anyone may send the request."""


class PolicyRoute(APIRoute):
    """A route with a policy."""

    policy: ClassVar[Policy]


class KeyRoute(PolicyRoute):
    """A route for holders of the API key."""

    policy = Policy.KEY


class SignedDownloadRoute(PolicyRoute):
    """A route that returns the video named by the parameter `job_id` or the query's `jobId`."""

    policy = Policy.SIGNED_DOWNLOAD


class CallbackRoute(PolicyRoute):
    """A route for providers."""

    policy = Policy.CALLBACK


class OpenRoute(PolicyRoute):
    """A route for anyone."""

    policy = Policy.OPEN


class DeclaredRoutes:
    """The routes of an application, each with its policy, in the order of their matching."""

    def __init__(self) -> None:
        self._routes: list[tuple[BaseRoute, Policy]] = []

    def add(self, route: BaseRoute, policy: Policy | None = None) -> None:
        """Add a route. Raises `TypeError` if it declares no policy and none is given."""
        if policy is None:
            if not isinstance(route, PolicyRoute):
                raise TypeError(f"{route} declares no policy; set its router's route_class")
            policy = route.policy
        self._routes.append((route, policy))

    def __iter__(self) -> Iterator[tuple[BaseRoute, Policy]]:
        """Iterate over the routes and their policies."""
        return iter(self._routes)

    def match(self, scope: Scope) -> tuple[Policy, str | None]:
        """Return the policy of the route that serves a request, and the job that its path names.

        An unknown path needs the key, so that nobody else learns which paths exist.
        """
        other_method: tuple[Policy, str | None] | None = None
        for route, policy in self._routes:
            match, matched = route.matches(scope)
            if match is Match.NONE:
                continue
            # Only its own parameter: an application that mounts us may have one of this name.
            named = "job_id" in getattr(route, "param_convertors", ())
            decision = policy, matched["path_params"]["job_id"] if named else None
            if match is Match.FULL:
                return decision
            other_method = other_method or decision
        return other_method or (Policy.KEY, None)
