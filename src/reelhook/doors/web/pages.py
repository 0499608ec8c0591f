"""Pages: each has a route, a template, and a function that reads what the template shows."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from reelhook.domain.caller import Scope
from reelhook.doors.context import ContextOf
from reelhook.doors.policy import READING, PageRoute, needs
from reelhook.doors.web.live import polled, streamed
from reelhook.doors.web.messages import DONE
from reelhook.doors.web.rendering import Part, rendered, respond
from reelhook.doors.web.states import State
from reelhook.doors.web.view import Banner, View, view_of

Load = Callable[[View], Awaitable[Mapping[str, Any]]]
StateOf = Callable[[Mapping[str, Any]], State]
IDLE_SECONDS = 10.0
"""The pause between two looks at a page that nothing is known to have changed."""


@dataclass(frozen=True, slots=True)
class DashboardPage:
    """A page of the dashboard. `idle_seconds`: see `IDLE_SECONDS`.

    `state_of` returns the state of the thing that the page is about, from what it shows.
    """

    path: str
    template: str
    load: Load
    idle_seconds: float = IDLE_SECONDS
    state_of: StateOf | None = None

    async def parts(self, view: View) -> list[Part]:
        """Return the parts that are replaced while the page is open."""
        return rendered(view, self.template, await self.load(view))[1]

    async def shown(self, view: View, status: int = 200) -> Response:
        """Return the response with the page as it is now. A conflict names the present state."""
        values = await self.load(view)
        if status == 409 and self.state_of is not None and view.banner is not None:
            text = f"{view.banner.text.rstrip('.')}. State now: {self.state_of(values).word}."
            view.banner = replace(view.banner, text=text)
        return respond(view, self.template, values, status)


def new_router() -> APIRouter:
    """Return a router of pages."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def page(
    router: APIRouter,
    path: str,
    template: str,
    scope: Scope = Scope.READ,
    *,
    idle_seconds: float = IDLE_SECONDS,
    state_of: StateOf | None = None,
) -> Callable[[Load], DashboardPage]:
    """Declare a page by the function that reads what it shows."""

    def declare(load: Load) -> DashboardPage:
        declared = DashboardPage(path, template, load, idle_seconds, state_of)

        async def show(context: ContextOf) -> Response:
            request = context.request
            match request.query_params.get("live"):
                case "stream" if request.method == "GET":
                    return await streamed(view_of(context, live=True), declared)
                case "poll":
                    return await polled(view_of(context, live=True), declared)
                case _:
                    view = view_of(context)
                    view.banner = _done(view)
                    return await declared.shown(view)

        router.add_api_route(path, needs(scope)(show), methods=READING)
        return declared

    return declare


def _done(view: View) -> Banner | None:
    text = DONE.get(view.query("done") or "")
    return None if text is None else Banner(text)


def with_banner(view: View, banner: Banner) -> View:
    """Return the view with a message at its top."""
    return replace(view, banner=banner)
