"""Events, deliveries and attempts as the command line shows them."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from reelhook.cli import render
from reelhook.telemetry.lines import printable

_STATE_STYLES = {"delivered": "green", "waiting": "yellow", "failed": "red", "ended": "red"}
_REASONS = {
    "superseded": "a newer event took its place",
    "exhausted": "all attempts failed",
    "gone": "the receiver answered 410",
}
_RESPONSE_CHARACTERS = 200


class FeedView:
    """Prints pages of events, one line each, under one heading."""

    def __init__(self) -> None:
        self._headed = False

    def show(self, page: dict[str, Any]) -> None:
        """Print a page."""
        if not self._headed:
            self._headed = True
            self._say(Text("TIME"), Text("STATUS"), Text("PROGRESS"), Text("EVENT"), "bold")
        for event in page["events"]:
            self._say(
                Text(render.second(str(event["timestamp"]))),
                render.status_text(str(event["status"])),
                Text(f"{event['progress']} %"),
                Text(printable(str(event["id"]))),
            )

    def dump(self, page: dict[str, Any]) -> None:
        """Print a page as JSON, one line for each event."""
        for event in page["events"]:
            render.say(json.dumps(event, ensure_ascii=False))

    def _say(self, time: Text, status: Text, progress: Text, event: Text, style: str = "") -> None:
        if not render.on_terminal():
            render.say("\t".join(cell.plain for cell in (time, status, progress, event)))
            return
        time.align("left", 19)
        status.align("left", 10)
        progress.align("right", 8)
        line = Text("  ", style).join((time, status, progress, event))
        line.style = style
        render.console().print(line, soft_wrap=True)


def show_deliveries(page: dict[str, Any]) -> None:
    """Print a page of deliveries, and the command for the next page."""
    deliveries = page["deliveries"]
    if not deliveries and render.on_terminal():
        render.say("No deliveries.")
        return
    render.show_table(
        ("DELIVERY", "STATE", "LAST ATTEMPT", "JOB", "URL"),
        (
            (
                delivery["id"],
                _state(delivery),
                _outcome(delivery["lastAttempt"]),
                delivery["jobId"],
                delivery["url"],
            )
            for delivery in deliveries
        ),
        keep=4,
    )
    if page["nextCursor"]:
        render.hint(f"More: reelhook deliveries list --cursor {page['nextCursor']}")


def show_delivery(delivery: dict[str, Any]) -> None:
    """Print a delivery in full."""
    last = delivery["lastAttempt"]
    render.show_fields(
        [
            ("Delivery", delivery["id"]),
            ("State", _state(delivery)),
            ("Job", delivery["jobId"]),
            ("Endpoint", delivery["endpointId"]),
            ("URL", delivery["url"]),
            ("Resend of", delivery["resendOf"]),
            ("Delivered up to", delivery["deliveredSequence"]),
            ("Waiting event", delivery["nextSequence"]),
            ("Its attempts", delivery["attempts"] or None),
            ("Next attempt", _next(delivery["nextAttemptAt"])),
            ("Last attempt", None if last is None else f"{last['startedAt']} {_outcome(last)}"),
            *(("Never arrived", _undelivered(event)) for event in delivery["undelivered"]),
        ]
    )


def show_attempts(page: dict[str, Any]) -> None:
    """Print attempts, with the beginning of each response."""
    attempts = page["attempts"]
    if not attempts and render.on_terminal():
        render.say("No attempts yet.")
        return
    render.show_table(
        ("TIME", "EVENT", "TRY", "TOOK", "OUTCOME", "RESPONSE"),
        (
            (
                render.second(attempt["startedAt"]),
                attempt["sequence"],
                "probe" if attempt["probe"] else attempt["number"],
                f"{attempt['durationMs']} ms",
                _outcome(attempt),
                attempt["detail"] or attempt["answer"][:_RESPONSE_CHARACTERS],
            )
            for attempt in attempts
        ),
        keep=5,
    )


def show_resent(delivery: dict[str, Any]) -> None:
    """Print the delivery that resends an event."""
    render.show_fields(
        [
            ("Delivery", delivery["id"]),
            ("State", _state(delivery)),
            ("Resend of", delivery["resendOf"]),
            ("Event", delivery["nextSequence"] or delivery["deliveredSequence"]),
            ("URL", delivery["url"]),
        ]
    )
    render.hint(f"Its status: reelhook deliveries show {delivery['id']}")


def show_run(run: dict[str, Any]) -> None:
    """Print how many events are being resent."""
    count = run["resent"]
    if count == 0:
        render.say("No event failed since then, or all were resent already.")
        return
    events = "1 event is" if count == 1 else f"{count} events are"
    render.say(f"{events} being resent; `reelhook deliveries list` shows their status.")


def _next(time: str | None) -> str | None:
    # It may be long overdue while the endpoint's circuit breaker is open.
    late = time is not None and datetime.fromisoformat(time) < datetime.now(UTC)
    return f"due since {time}; waiting for its endpoint" if late else time


def _undelivered(event: dict[str, Any]) -> str:
    reason = _REASONS.get(event["fate"], event["fate"])
    return f"event {event['sequence']}: {reason}, {event['at']}"


def _outcome(attempt: dict[str, Any] | None) -> Text:
    if attempt is None:
        return Text("none yet", "dim")
    status, error = attempt["status"], attempt["error"]
    if status is not None and 200 <= status < 300 and error is None:
        return Text(f"HTTP {status}", "green")
    return Text(printable(str(error or f"HTTP {status}")), "red")


def _state(delivery: dict[str, Any]) -> Text:
    state = delivery["state"] or "no event yet"
    return Text(printable(str(state)), _STATE_STYLES.get(state, "dim"))
