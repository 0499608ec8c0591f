import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_programs import Outcome, Program, at_once, on_terminal, reelhook, serve, simulator
from cli_receivers import Answering, answering

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class House:
    """A server and two endpoints: one takes what it is sent, the other refused the first job."""

    server: Program
    directory: Path
    good: Answering
    bad: Answering
    endpoints: dict[str, str]
    job_id: str

    def run(self, *arguments: str) -> Outcome:
        return reelhook(*arguments, directory=self.directory, REELHOOK_URL=self.server.url)

    def delivery(self, which: str) -> Any:
        """Return the first job's delivery to that endpoint."""
        arguments = ("--job", self.job_id, "--endpoint", self.endpoints[which])
        deliveries = self.run("deliveries", "list", *arguments, "--json").json["deliveries"]
        return deliveries[-1]

    def on_terminal(self, *arguments: str, until: str | None = None) -> tuple[int, str]:
        return on_terminal(
            *arguments, directory=self.directory, until=until, REELHOOK_URL=self.server.url
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    with (
        answering() as good,
        answering() as bad,
        simulator(directory, "--render-seconds", "0", "--queue-seconds", "0") as provider,
        serve(directory, provider, "--retry-schedule", "1ms") as server,
    ):
        bad.status, bad.answer = 500, "On fire\nsecond line"
        url = {"REELHOOK_URL": server.url}

        def run(*arguments: str) -> Any:
            return reelhook(*arguments, "--json", directory=directory, **url).json

        ids = {
            name: run("endpoints", "add", one.url, "--event", "completed")["id"]
            for name, one in (("good", good), ("bad", bad))
        }
        to_both = [part for one in ids.values() for part in ("--endpoint", one)]
        job_id = run("submit", "A fox", *to_both)["jobId"]
        deadline = time.monotonic() + WAIT_SECONDS
        while len(run("deliveries", "list", "--state", "failed")["deliveries"]) < 1:
            assert time.monotonic() < deadline
        yield House(server, directory, good, bad, ids, job_id)


def test_a_job_is_registered_for_endpoints(house: House) -> None:
    refused = house.run("register", "video_abc", "--endpoint", "ep_nobody")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "`reelhook endpoints list`" in refused.err


def test_deliveries_are_listed_by_state_job_and_endpoint(house: House) -> None:
    lines = house.run("deliveries", "list", "--state", "failed").out.splitlines()
    assert lines[0].split("\t") == ["DELIVERY", "STATE", "LAST ATTEMPT", "JOB", "URL"]
    delivery = house.delivery("bad")
    assert lines[1:] == [f"{delivery['id']}\tfailed\tHTTP 500\t{house.job_id}\t{house.bad.url}"]
    assert house.run("deliveries", "list", "--job", "job_nobody", "--json").json == {
        "deliveries": [],
        "nextCursor": None,
    }
    page = house.run("deliveries", "list", "--limit", "1", "--json").json
    rest = house.run("deliveries", "list", "--cursor", str(page["nextCursor"]), "--json").json
    assert rest["deliveries"][0]["id"] < page["deliveries"][0]["id"]


def test_a_terminal_shows_a_table_whose_ids_are_whole(house: House) -> None:
    code, shown = house.on_terminal("deliveries", "list", "--limit", "1")
    assert code == 0
    assert house.job_id in shown
    assert "\t" not in shown
    assert "More: reelhook deliveries list --cursor" in shown


def test_a_delivery_tells_what_never_arrived(house: House) -> None:
    delivery_id = str(house.delivery("bad")["id"])
    lines = house.run("deliveries", "show", delivery_id).out.splitlines()
    assert {f"Delivery: {delivery_id}", "State: failed", f"URL: {house.bad.url}"} <= {*lines}
    [missed] = [line for line in lines if line.startswith("Never arrived: ")]
    assert "all attempts failed" in missed


def test_attempts_have_their_outcome_and_answer(house: House) -> None:
    delivery_id = str(house.delivery("bad")["id"])
    lines = house.run("deliveries", "attempts", delivery_id).out.splitlines()
    assert lines[0].split("\t") == ["TIME", "EVENT", "TRY", "TOOK", "OUTCOME", "RESPONSE"]
    cells = [line.split("\t") for line in lines[1:]]
    assert [row[2] for row in cells] == ["2", "1"]
    assert {(row[4], row[5]) for row in cells} == {("HTTP 500", "On fire\\nsecond line")}
    whole = house.run("deliveries", "attempts", delivery_id, "--limit", "1", "--json").json
    assert [one["answer"] for one in whole["attempts"]] == ["On fire\nsecond line"]
    code, shown = house.on_terminal("deliveries", "attempts", delivery_id)
    assert code == 0
    assert "HTTP 500" in shown


def test_one_event_is_sent_anew_with_the_same_id(house: House) -> None:
    delivery = house.delivery("good")
    event_id = delivery["lastAttempt"]["eventId"]
    before = house.good.ids.count(event_id)
    resent = house.run("deliveries", "resend", str(delivery["id"]), "--json").json
    assert resent["resendOf"] == delivery["id"]
    deadline = time.monotonic() + WAIT_SECONDS
    while house.good.ids.count(event_id) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    words = house.run("deliveries", "resend", str(delivery["id"]), "--sequence", "1").out
    assert f"Resend of: {delivery['id']}" in words.splitlines()
    wrong = house.run("deliveries", "resend", str(delivery["id"]), "--sequence", "99")
    assert wrong.code == 1
    assert f"`reelhook events --job {house.job_id}` lists them" in wrong.err


def test_all_that_failed_is_sent_anew_once(house: House) -> None:
    event_id = house.delivery("bad")["lastAttempt"]["eventId"]
    other = house.run(
        *("deliveries", "resend", "--failed-since", "2h", "--endpoint", house.endpoints["good"]),
        "--json",
    ).json
    assert (other["resent"], other["finished"]) == (0, True)
    house.bad.status = 200
    house.bad.ids.clear()
    done = house.run("deliveries", "resend", "--failed-since", "2h")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("1 event is being resent")
    deadline = time.monotonic() + WAIT_SECONDS
    while not house.bad.ids:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert house.bad.ids == [event_id]
    code, shown = house.on_terminal("deliveries", "resend", "--failed-since", "2026-01-31T10:00Z")
    assert code == 0
    assert "No event failed since then" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resend"], "either a delivery's id or --failed-since"),
        (["resend", "1", "--failed-since", "2h"], "either a delivery's id or --failed-since"),
        (["resend", "1", "--endpoint", "ep_1"], "--endpoint needs --failed-since"),
        (["resend", "--failed-since", "2h", "--sequence", "1"], "--sequence needs"),
        (["resend", "--failed-since", "2026-01-31T10:00"], "with its time zone"),
        (["resend", "--failed-since", "yesterday"], "'yesterday' is not a time"),
        (["resend", "--failed-since", "999999d"], "'999999d' is not a time"),
        (["list", "--state", "lost"], "'lost' is not one of"),
        (["show", "x"], "valid integer"),
        (["attempts", "0"], "ID"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    outcome = reelhook("deliveries", *arguments, directory=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_what_there_is_not_is_told_with_a_remedy(house: House) -> None:
    for outcome, says in zip(
        at_once(
            house.run,
            ("deliveries", "show", "99999"),
            ("deliveries", "attempts", str(10**30)),
            ("deliveries", "resend", "99999"),
            ("deliveries", "resend", "--failed-since", "2h", "--endpoint", "ep_nobody"),
            ("deliveries", "resend", "--failed-since", "2999-01-01T00:00Z"),
            ("events", "--job", "no/such?job"),
            ("events", "--after", "evt_nobody"),
        ),
        (
            *["Delivery not found; `reelhook deliveries list` lists them"] * 3,
            "Endpoint not found; `reelhook endpoints list` lists them",
            "since must be a time in the past",
            "Job not found; `reelhook jobs` lists them",
            "--after must be the id of an event",
        ),
        strict=True,
    ):
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err.startswith(f"reelhook: {says}")
        assert outcome.err.count("\n") == 1


# -- events ---------------------------------------------------------------------------------------


def test_the_feed_is_read_from_the_start_and_behind_an_event(house: House) -> None:
    feed = house.run("events", "--json").json
    lines = house.run("events").out.splitlines()
    assert lines[0].split("\t") == ["TIME", "STATUS", "PROGRESS", "EVENT"]
    assert [line.split("\t")[3] for line in lines[1:]] == [one["id"] for one in feed["events"]]
    first = feed["events"][0]["id"]
    rest = house.run("events", "--after", first, "--json").json["events"]
    assert rest == feed["events"][1:]
    assert len(house.run("events", "--limit", "1", "--json").json["events"]) == 1
    history = house.run("events", "--job", house.job_id, "--json").json["events"]
    assert [one["id"] for one in history] == [
        one["id"] for one in feed["events"] if one["jobId"] == house.job_id
    ]


def test_the_feed_is_followed_until_ctrl_c(house: House) -> None:
    last = house.run("events", "--job", house.job_id, "--json").json["events"][-1]["id"]
    code, shown = house.on_terminal("events", "--follow", until=last)
    assert code == 130
    assert "completed" in shown
    code, shown = house.on_terminal("events", "--follow", "--json", until=last)
    assert code == 130
    line = next(line for line in shown.splitlines() if last in line)
    assert json.loads(line)["id"] == last


def test_a_jobs_history_is_whole_so_nothing_else_goes_with_it(tmp_path: Path) -> None:
    outcome = reelhook("events", "--job", "job_1", "--follow", directory=tmp_path)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
