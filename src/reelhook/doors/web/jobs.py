"""The list of jobs, with its filter box and actions on several jobs."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.causes.cause import Cause
from reelhook.domain.errors import InvalidRequestError, ReelhookError
from reelhook.domain.event import iso
from reelhook.doors.web.actions import Done, Result, Shown, action
from reelhook.doors.web.attention import shown_cause
from reelhook.doors.web.error_messages import page_message
from reelhook.doors.web.filters import (
    CAUSES,
    STATUSES,
    FilterError,
    ParsedFilter,
    parse_filter,
    with_word,
)
from reelhook.doors.web.forms import Form, whole_number
from reelhook.doors.web.job import posters_of
from reelhook.doors.web.matching import ACTIONS, MatchedJobs, act_on, carried_out, matched
from reelhook.doors.web.pages import new_router, page
from reelhook.doors.web.view import Banner, View
from reelhook.gateway import JobPage

router = new_router()
PAGE_JOBS = 50
NEWS_MAX = 50
SELECTED_MAX = 100
_NONE = JobPage((), None)


@page(router, "/jobs", "jobs.html")
async def jobs(view: View) -> Mapping[str, Any]:
    """Return a page of jobs."""
    text = (view.form or {}).get("q") or view.query("q") or ""
    problem: FilterError | None = None
    parsed, found, news, who = ParsedFilter(), _NONE, 0, view.who
    held: Mapping[str, Cause] = {}
    try:
        parsed = parse_filter(text, view.now)
        if parsed.project is not None:
            who = (await view.context.within(parsed.project)).caller
        found, held = await _page(view, who, parsed)
        news = await _news(view, who, parsed)
    except FilterError as error:
        problem = error
    except InvalidRequestError as error:
        problem = FilterError(error.message, 0, len(text))
    except ReelhookError as error:
        if parsed.project is None:
            raise
        problem = FilterError(error.message, 0, len(text))
    running = await view.gateway.activity.running(who)
    if not view.live:
        newest = found.jobs[0].job.created_at if found.jobs else view.now
        view.anchors["newest"] = str(newest)
    listed = [one.job for one in found.jobs]
    causes = held or await view.gateway.attention.of_jobs(who, listed)
    return {
        "jobs": found.jobs,
        "text": text,
        "problem": problem,
        "next": found.next_cursor,
        "cursor": view.query("cursor"),
        "posters": await posters_of(view, who, listed),
        "causes": {job_id: shown_cause(one, who) for job_id, one in causes.items()},
        "statuses": STATUSES,
        "cause_names": CAUSES,
        "running": running,
        "chosen": _chosen(parsed),
        "with_word": with_word,
        "news": f"{news}+" if news >= NEWS_MAX else str(news or ""),
        "command": _command(parsed),
        "actions": {name: one for name, one in ACTIONS.items() if who.allows(one.scope)},
        "matched": await _matched(view, who, parsed) if problem is None else None,
    }


async def _page(
    view: View, who: Caller, parsed: ParsedFilter
) -> tuple[JobPage, Mapping[str, Cause]]:
    """Return a page of jobs, with the causes that it was filtered by."""
    cursor = view.query("cursor")
    if parsed.in_doubt:
        return await view.gateway.in_doubt.jobs(who, PAGE_JOBS, cursor), {}
    wanted = parsed.wanted
    newest = _newest(view)
    if newest is not None and wanted.created_before is None:
        # An open page keeps its rows: newer jobs are only counted.
        wanted = replace(wanted, created_before=newest + 1)
    if parsed.cause is not None:
        attention = view.gateway.attention
        held = await attention.jobs(who, parsed.cause, wanted, PAGE_JOBS, cursor)
        return held.page, held.causes
    return await view.gateway.jobs.jobs(who, wanted, PAGE_JOBS, cursor), {}


async def _news(view: View, who: Caller, parsed: ParsedFilter) -> int:
    """Return the number of jobs that are newer than those of an open page."""
    newest = _newest(view)
    if newest is None or parsed.in_doubt or parsed.cause is not None or view.query("cursor"):
        return 0
    newer = replace(parsed.wanted, created_after=max(newest, parsed.wanted.created_after or 0))
    return len((await view.gateway.jobs.jobs(who, newer, NEWS_MAX)).jobs)


async def _matched(view: View, who: Caller, parsed: ParsedFilter) -> MatchedJobs | None:
    """Return the jobs that the action is for which the page asks about, if it does."""
    action = (view.form or {}).get("action") or view.query("all")
    if (
        view.live
        or action is None
        or action not in ACTIONS
        or not who.allows(ACTIONS[action].scope)
    ):
        return None
    with contextlib.suppress(InvalidRequestError):  # the banner has it, or nothing matches
        return await matched(view, who, parsed, action)
    return None


def _newest(view: View) -> int | None:
    return whole_number(view.query("newest")) if view.live else None


def _chosen(parsed: ParsedFilter) -> str | None:
    if parsed.in_doubt:
        return "doubt"
    return None if parsed.wanted.status is None else parsed.wanted.status.value


def _command(parsed: ParsedFilter) -> str:
    if parsed.in_doubt:
        return "reelhook jobs --in-doubt"
    wanted = parsed.wanted
    options: Sequence[tuple[str, str | None]] = (
        ("--status", None if wanted.status is None else wanted.status.value),
        ("--cause", parsed.cause),
        ("--model", wanted.model),
        ("--code", wanted.code),
        ("--external-id", wanted.external_id),
        *(("--metadata", f"{name}={value}") for name, value in wanted.metadata),
        ("--created-after", None if wanted.created_after is None else iso(wanted.created_after)),
        ("--created-before", None if wanted.created_before is None else iso(wanted.created_before)),
        ("--project", parsed.project),
    )
    shown = (f"{name} {_shell(value)}" for name, value in options if value is not None)
    return " ".join(["reelhook jobs", *shown])


def _shell(text: str) -> str:
    plain = all(letter.isalnum() or letter in "-_./:=@" for letter in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


@action(router, "/jobs/selected", Scope.SUBMIT, jobs)
async def act_on_selected(view: View, form: Form) -> Result:
    """Act on the selected jobs, one by one. Those that have ended stay as they are."""
    chosen = [name.removeprefix("job.") for name in form if name.startswith("job.")][:SELECTED_MAX]
    if not chosen:
        raise InvalidRequestError("job", "Select at least one job")
    name = form.get("do", "")
    if name not in ACTIONS:
        raise InvalidRequestError("do", "Choose one of the actions")
    view.who.require(ACTIONS[name].scope)
    failed: list[ReelhookError] = []
    for job_id in chosen:
        try:
            await act_on(view.gateway, view.who, name, job_id)
        except ReelhookError as error:
            failed.append(error)
    if failed:
        done = len(chosen) - len(failed)
        message = f"{done} of {len(chosen)} jobs were done. The others: {page_message(failed[0])}"
        raise InvalidRequestError("job", message)
    return Done(view.to("jobs", q=form.get("q")), f"selected_{name}")


@action(router, "/jobs/matching", Scope.SUBMIT, jobs)
async def act_on_matching(view: View, form: Form) -> Result:
    """Act on all jobs that match, if their number was typed."""
    name = form.get("action", "")
    if name not in ACTIONS:
        raise InvalidRequestError("action", "Choose one of the actions")
    view.who.require(ACTIONS[name].scope)
    text = form.get("q", "")
    try:
        parsed = parse_filter(text, view.now)
    except FilterError as error:
        raise InvalidRequestError("q", error.message) from None
    who = view.who
    if parsed.project is not None:
        who = (await view.context.within(parsed.project)).caller
    found = await matched(view, who, parsed, name)
    if form.get("count", "").strip() != str(len(found.jobs)):
        message = f"{len(found.jobs)} jobs match now. Type that number to go on"
        raise InvalidRequestError("count", message)
    return Shown(Banner(await carried_out(view, who, found)))
