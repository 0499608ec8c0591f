"""Actions: the forms of pages. Each is carried out once, and only if it came from our page."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from reelhook.domain.caller import Scope
from reelhook.domain.errors import ReelhookError, StoreError
from reelhook.doors.access import route_path
from reelhook.doors.context import ContextOf
from reelhook.doors.errors import STORE_MESSAGE, status_of
from reelhook.doors.policy import needs, takes_file
from reelhook.doors.web.error_messages import page_message
from reelhook.doors.web.error_page import error_page
from reelhook.doors.web.forms import ONCE, Form, form_with_files, refused
from reelhook.doors.web.pages import DashboardPage
from reelhook.doors.web.rendering import HEADERS
from reelhook.doors.web.view import Banner, View, new_mark, view_of

REMEMBERED_MAX, REMEMBERED_SECONDS = 1000, 600.0


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was carried out: where to go on, and the code of what to say there."""

    to: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An action whose result is shown once, on the page that it belongs to."""

    banner: Banner


Result = Done | Shown
Act = Callable[[View, Form], Awaitable[Result]]


@dataclass
class Outcomes:
    """The results of the newest forms, in this process, so that a form counts once."""

    results: OrderedDict[tuple[str, ...], tuple[float, asyncio.Future[Result]]] = field(
        default_factory=OrderedDict
    )

    async def once(self, key: tuple[str, ...], work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of a form; carry it out unless that was begun before.

        A form that failed, for whatever reason, may be sent again.
        """
        now = asyncio.get_running_loop().time()
        self._forget_old(now)
        if (known := self.results.get(key)) is not None:
            return await asyncio.shield(known[1])
        future = asyncio.ensure_future(work())
        self.results[key] = (now, future)
        future.add_done_callback(lambda done: self._forget_failed(key, done))
        return await asyncio.shield(future)

    def _forget_failed(self, key: tuple[str, ...], done: asyncio.Future[Result]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and (known := self.results.get(key)) is not None and known[1] is done:
            del self.results[key]

    def _forget_old(self, now: float) -> None:
        while self.results:
            key, (made_at, _) = next(iter(self.results.items()))
            if len(self.results) < REMEMBERED_MAX and now - made_at < REMEMBERED_SECONDS:
                return
            del self.results[key]


_OUTCOMES: WeakKeyDictionary[object, Outcomes] = WeakKeyDictionary()


def action(
    router: APIRouter, path: str, scope: Scope, page: DashboardPage, *, files: bool = False
) -> Callable[[Act], Act]:
    """Declare an action. If it fails, `page` is shown as it is now, with the reason.

    `files`: its form may have files, and be as large as an upload.
    """

    def declare(act: Act) -> Act:
        async def carry_out(context: ContextOf) -> Response:
            view = view_of(context)
            form, view.files = await form_with_files(context.request)
            if (refusal := refused(view, form)) is not None:
                return error_page(view, 403, refusal, "forbidden")
            return await _carried_out(view, form, act, page)

        endpoint = needs(scope)(takes_file(carry_out) if files else carry_out)
        router.add_api_route(path, endpoint, methods=["POST"])
        return act

    return declare


async def _carried_out(view: View, form: Form, act: Act, page: DashboardPage) -> Response:
    view.form, view.page_path = form, page.path.format(**view.request.path_params)
    outcomes = _OUTCOMES.setdefault(view.request.app, Outcomes())
    key = (view.form_token, form.get(ONCE, ""), route_path(view.scope), form.get("do", ""))
    try:
        result = await (
            outcomes.once(key, lambda: act(view, form)) if form.get(ONCE) else act(view, form)
        )
    except StoreError:
        view.banner = Banner(STORE_MESSAGE, "bad")
        return await _page_as_it_is(view, page, 503)
    except ReelhookError as error:
        view.banner = Banner(page_message(error), "bad")
        return await _page_as_it_is(view, page, status_of(error))
    if isinstance(result, Shown):
        view.banner = result.banner
        view.once = new_mark()
        return await page.shown(view)
    separator = "&" if "?" in result.to else "?"
    to = f"{result.to}{separator}done={result.code}" if result.code else result.to
    return RedirectResponse(to, 303, headers=HEADERS)


async def _page_as_it_is(view: View, page: DashboardPage, status: int) -> Response:
    """Return the page with its banner; the banner alone if the page can't be shown."""
    try:
        return await page.shown(view, status)
    except ReelhookError as error:
        assert view.banner is not None  # noqa: S101 - the callers set it
        return error_page(view, status, view.banner.text, error.code)
