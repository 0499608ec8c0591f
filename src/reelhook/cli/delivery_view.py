"""How events, deliveries and attempts are told."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from reelhook.cli import render
from reelhook.telemetry.lines import printable

_STATE_STYLES = {"delivered": "green", "waiting": "yellow", "failed": "red", "ended": "red"}
_FATES = {
    "superseded": "a newer event took its place",
    "exhausted": "all attempts failed",
    "gone": "the receiver answered 410",
}
_ANSWER_CHARACTERS = 200


class Feed:
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
    """Print a page of deliveries, and how to get the next one."""
    deliveries = page["deliveries"]
    if not deliveries and render.on_terminal():
        render.say("None.")
        return
    render.show_table(
        ("DELIVERY", "STATE", "LAST ATTEMPT", "JOB", "URL"),
        (
            (one["id"], _state(one), _outcome(one["lastAttempt"]), one["jobId"], one["url"])
            for one in deliveries
        ),
        keep=4,
    )
    if page["nextCursor"]:
        render.hint(f"More: reelhook deliveries list --cursor {page['nextCursor']}")


def show_delivery(delivery: dict[str, Any]) -> None:
    """Print all that the API tells of a delivery."""
    last = delivery["lastAttempt"]
    render.show_fields(
        [
            ("Delivery", delivery["id"]),
            ("State", _state(delivery)),
            ("Job", delivery["jobId"]),
            ("Endpoint", delivery["endpointId"]),
            ("URL", delivery["url"]),
            ("Resend of", delivery["resendOf"]),
            ("Arrived up to", delivery["deliveredSequence"]),
            ("Waiting event", delivery["nextSequence"]),
            ("Attempts of it", delivery["attempts"] or None),
            ("Next attempt", _next(delivery["nextAttemptAt"])),
            ("Last attempt", None if last is None else f"{last['startedAt']} {_outcome(last)}"),
            *(("Never arrived", _missed(one)) for one in delivery["undelivered"]),
        ]
    )


def show_attempts(page: dict[str, Any]) -> None:
    """Print attempts, the beginning of their answers included."""
    attempts = page["attempts"]
    if not attempts and render.on_terminal():
        render.say("None yet.")
        return
    render.show_table(
        ("TIME", "EVENT", "TRY", "TOOK", "OUTCOME", "ANSWER"),
        (
            (
                render.second(one["startedAt"]),
                one["sequence"],
                "probe" if one["probe"] else one["number"],
                f"{one['durationMs']} ms",
                _outcome(one),
                one["detail"] or one["answer"][:_ANSWER_CHARACTERS],
            )
            for one in attempts
        ),
        keep=5,
    )


def show_resent(delivery: dict[str, Any]) -> None:
    """Print that an event is on its way again."""
    render.show_fields(
        [
            ("Delivery", delivery["id"]),
            ("State", _state(delivery)),
            ("Resend of", delivery["resendOf"]),
            ("Event", delivery["nextSequence"] or delivery["deliveredSequence"]),
            ("URL", delivery["url"]),
        ]
    )
    render.hint(f"How it fares: reelhook deliveries show {delivery['id']}")


def show_run(run: dict[str, Any]) -> None:
    """Print how many events are on their way again."""
    count = run["resent"]
    if count == 0:
        render.say("Nothing failed since then that was not sent anew already.")
        return
    events = "1 event is" if count == 1 else f"{count} events are"
    render.say(f"{events} on the way again; `reelhook deliveries list` shows how they fare.")


def _next(moment: str | None) -> str | None:
    # Where the endpoint's breaker holds it back, its time may have come long ago.
    late = moment is not None and datetime.fromisoformat(moment) < datetime.now(UTC)
    return f"due since {moment}, once its endpoint has a turn for it" if late else moment


def _missed(one: dict[str, Any]) -> str:
    return f"event {one['sequence']}: {_FATES.get(one['fate'], one['fate'])}, {one['at']}"


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
