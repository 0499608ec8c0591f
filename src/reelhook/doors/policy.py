"""The access policies of routes. Each route declares one, by its router's `route_class`.

A route for holders of a key also declares the scope that the key needs, by `needs`.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, TypeVar

from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope as HttpScope

from reelhook.domain.caller import Scope
from reelhook.doors.access import route_path
from reelhook.doors.multipart import JsonRequest

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_NEED = "__reelhook_need__"
_FILES = "__reelhook_files__"


class Policy(Enum):
    """The condition under which a route serves a request."""

    KEY = "key"
    """The request has the API key, or a project's key with the scope that the route needs.
    If there is no key at all: known hosts only, no foreign pages."""
    SIGNED_DOWNLOAD = "signed_download"
    """As `KEY`, or the request is a signed link to the one video that it names."""
    PAGE = "page"
    """A page of the dashboard: the request has a session that a key began.
    If there is no key at all: as `KEY`."""
    DOCUMENT = "document"
    """The API's description, which reveals nothing about an installation: no key is needed.
    If there is no key at all: as `KEY`."""
    CALLBACK = "callback"
    """The address was given to a provider. The token in it is the key."""
    OPEN = "open"
    """Anyone may send the request."""
    OPEN_PAGE = "open_page"
    """A page that a browser without a session may open, such as the login. Its forms are small."""


class PolicyRoute(APIRoute):
    """A route with a policy. `counts_rate`: see `Matched`."""

    policy: ClassVar[Policy]
    counts_rate: ClassVar[bool] = False

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        responses: dict[int | str, dict[str, Any]] | None = None,
        **declared: Any,
    ) -> None:
        """Declare a route. Its `responses`, other than that of success, are for the document only.

        FastAPI would make a validator of each, which the process would hold without a use.
        """
        super().__init__(path, endpoint, **declared)
        self.responses = responses or {}
        self._declared = declared

    def documented(self, more: Mapping[int | str, dict[str, Any]]) -> APIRoute:
        """Return the route for the document, with its responses and `more` of them."""
        responses = {**more, **self.responses}
        return APIRoute(self.path, self.endpoint, responses=responses, **self._declared)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route's requests, which parses JSON as `JsonRequest` does.

        FastAPI documents this way to give a route its own kind of request.
        """
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json


class KeyRoute(PolicyRoute):
    """A route for holders of a key."""

    policy = Policy.KEY


class SignedDownloadRoute(PolicyRoute):
    """A route that returns the video named by the parameter `job_id` or the query's `jobId`."""

    policy = Policy.SIGNED_DOWNLOAD


class CallbackRoute(PolicyRoute):
    """A route for providers."""

    policy = Policy.CALLBACK


class PageRoute(PolicyRoute):
    """A page of the dashboard, or an action on one."""

    policy = Policy.PAGE


class OpenRoute(PolicyRoute):
    """A route for anyone."""

    policy = Policy.OPEN


class OpenPageRoute(PolicyRoute):
    """A page for anyone."""

    policy = Policy.OPEN_PAGE


@dataclass(frozen=True, slots=True)
class Need:
    """The scope that a caller of a route needs.

    `one_job` is the parameter, of the path or the query, that names the only job that the route
    reads: so it also serves the job's browser token.
    """

    scope: Scope
    one_job: str | None = None


def needs(scope: Scope, *, one_job: str | None = None) -> Callable[[Endpoint], Endpoint]:
    """Declare the scope that a route needs; see `Need`. Stands below the route's decorator."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _NEED, Need(scope, one_job))
        return endpoint

    return declare


def need_of(route: BaseRoute) -> Need | None:
    """Return what a route needs; None if it declares nothing."""
    need = getattr(getattr(route, "endpoint", None), _NEED, None)
    return need if isinstance(need, Need) else None


class FileForms(Enum):
    """The forms in which a route takes files. Its bodies may be larger than those of others."""

    INLINE = "inline"
    """As `data:` URIs in JSON."""
    FORM = "form"
    """Also as the files of a form, `multipart/form-data`: see `doors.multipart`."""
    BYTES = "bytes"
    """As the body itself, of any type, or as the one file of a form."""


def carries_files(endpoint: Endpoint) -> Endpoint:
    """Declare that a route takes files, in JSON or as a form. Stands below `needs`."""
    setattr(endpoint, _FILES, FileForms.FORM)
    return endpoint


def carries_inline_files(endpoint: Endpoint) -> Endpoint:
    """Declare that a route takes files in JSON. Stands below `needs`."""
    setattr(endpoint, _FILES, FileForms.INLINE)
    return endpoint


def takes_file(endpoint: Endpoint) -> Endpoint:
    """Declare that a route takes one file, as its body or in a form. Stands below `needs`."""
    setattr(endpoint, _FILES, FileForms.BYTES)
    return endpoint


def files_of(route: BaseRoute) -> FileForms | None:
    """Return the forms in which a route takes files; None if it takes none."""
    files = getattr(getattr(route, "endpoint", None), _FILES, None)
    return files if isinstance(files, FileForms) else None


@dataclass(frozen=True, slots=True)
class Matched:
    """The declaration of the route that serves a request, and the job that its path names.

    `counts_rate`: the route itself refuses a request that exceeds its key's rate. `allowed`: the
    methods of the path, if the request has another one.
    """

    policy: Policy
    need: Need | None = None
    job_id: str | None = None
    files: FileForms | None = None
    counts_rate: bool = False
    allowed: tuple[str, ...] = ()

    def only_job(self, query: QueryParams) -> str | None:
        """Return the only job that the request reads, by path or query; None if that is unclear."""
        if self.need is None or self.need.one_job is None or self.job_id is not None:
            return self.job_id if self.need is not None and self.need.one_job else None
        named = query.getlist(self.need.one_job)
        return named[0] if len(named) == 1 else None


UNKNOWN = Matched(Policy.KEY)
"""An unknown path needs a key, so that nobody else learns which paths exist."""
UNKNOWN_PAGE = Matched(Policy.PAGE)
"""An unknown path that a browser asks for: it gets a page, or the login."""
READING = ["GET", "HEAD"]
"""The methods of a page that is read: `HEAD` gets the same response without its body."""
OF_PAGES = frozenset({Policy.PAGE, Policy.OPEN_PAGE})
"""The policies of pages: their errors are pages too, and they take forms in place of JSON."""
_FOR_KEYS = frozenset({Policy.KEY, Policy.SIGNED_DOWNLOAD, Policy.PAGE})


class DeclaredRoutes:
    """The routes of an application, each with its policy, in the order of their matching."""

    def __init__(self) -> None:
        self._routes: list[tuple[BaseRoute, Policy]] = []
        self._of_paths: dict[str, set[str]] = {}
        """The methods of the paths without parameters."""

    def add(self, route: BaseRoute, policy: Policy | None = None) -> None:
        """Add a route. Raises `TypeError` if it declares no policy, or no scope but needs one."""
        if policy is None:
            if not isinstance(route, PolicyRoute):
                raise TypeError(f"{route} declares no policy; set its router's route_class")
            policy = route.policy
            if policy in _FOR_KEYS and need_of(route) is None:
                raise TypeError(f"{route} declares no scope; decorate it with needs(Scope....)")
        self._routes.append((route, policy))
        if isinstance(route, Route) and not route.param_convertors:
            self._of_paths.setdefault(route.path, set()).update(route.methods or ())

    def __iter__(self) -> Iterator[tuple[BaseRoute, Policy]]:
        """Iterate over the routes and their policies."""
        return iter(self._routes)

    def match(self, scope: HttpScope) -> Matched:
        """Return the declaration of the route that serves a request.

        A path without parameters is none of a route with parameters, as OpenAPI has it: there is no
        delivery `resend`.
        """
        own_methods = self._of_paths.get(route_path(scope))
        swallowed = own_methods is not None and scope["method"] not in own_methods
        other_method: Matched | None = None
        methods: set[str] = set()
        for route, policy in self._routes:
            match, matched = route.matches(scope)
            parameters: Any = getattr(route, "param_convertors", None) or ()
            if match is Match.NONE or (swallowed and parameters):
                continue
            # Only its own parameter: an application that mounts us may have one of this name.
            named = "job_id" in parameters
            job_id = matched["path_params"]["job_id"] if named else None
            found = Matched(policy, need_of(route), job_id, files_of(route))
            if match is Match.FULL:
                counts_rate = isinstance(route, PolicyRoute) and route.counts_rate
                return replace(found, counts_rate=counts_rate)
            other_method = other_method or found
            methods |= getattr(route, "methods", None) or set()
        return replace(other_method, allowed=tuple(sorted(methods))) if other_method else UNKNOWN
