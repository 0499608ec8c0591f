import json
import os
import resource
import signal
import subprocess
from functools import partial
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from cli_programs import (
    COMMAND,
    at_once,
    environment,
    on_terminal,
    reelhook,
    serve,
    simulator,
    start,
)

from reelhook.domain.signing_keys import PrivateKey
from reelhook.simulator.flavours import FLAVOURS


def one_line(directory: Path, *arguments: str, code: int = 1, **variables: str) -> str:
    outcome = reelhook(*arguments, directory=directory, **variables)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.count("\n") == 1
    return outcome.err


def test_serve_without_a_provider_says_why_and_what_to_do(tmp_path: Path) -> None:
    line = one_line(tmp_path, "serve", code=78)
    assert "OpenAI shut down its Videos API" in line
    assert "OPENAI_BASE_URL" in line
    assert "--simulate" in line
    assert not list(tmp_path.iterdir())


def test_serve_refuses_to_be_reachable_without_a_key(tmp_path: Path) -> None:
    line = one_line(tmp_path, "serve", "--simulate", "--host", "0.0.0.0")  # noqa: S104 - refused
    assert "REELHOOK_API_KEY" in line


def test_serve_tells_a_wrong_flag_by_its_setting(tmp_path: Path) -> None:
    assert "REELHOOK_POLL_SECONDS" in one_line(tmp_path, "serve", "--poll-seconds", "0", code=78)


def test_a_taken_port_stops_the_start(tmp_path: Path) -> None:
    with simulator(tmp_path) as program:
        port = program.url.rpartition(":")[2]
        assert port in one_line(tmp_path, "serve", "--simulate", "--port", port)
        assert port in one_line(tmp_path, "simulate", "--port", port)


@pytest.mark.long
def test_simulate_plays_the_server_that_it_is_told_and_forgets_its_jobs(tmp_path: Path) -> None:
    with simulator(tmp_path, "--flavour", "sglang") as program:
        with urlopen(f"{program.url}/v1/models") as response:  # noqa: S310 - our own, on loopback
            assert json.load(response)["data"][0]["owned_by"] == "sglang"
        restart = Request(f"{program.url}/simulator/restart", method="POST")  # noqa: S310 - see above
        with urlopen(restart) as response:  # noqa: S310 - see above
            assert json.load(response) == {"jobs": 0}


def test_simulate_names_the_servers_that_it_can_play(tmp_path: Path) -> None:
    outcome = reelhook("simulate", "--flavour", "nothing", directory=tmp_path)
    assert outcome.code != 0
    for name in FLAVOURS:
        assert name in " ".join(outcome.err.split())


def test_an_unwritable_data_directory_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = one_line(tmp_path, "serve", "--simulate", "--port", "0", "--data-dir", "file/in")
    assert "REELHOOK_DATA_DIR" in line


@pytest.mark.long
def test_a_second_serve_and_the_database_commands_leave_a_served_database_alone(
    tmp_path: Path,
) -> None:
    with simulator(tmp_path) as provider, serve(tmp_path, provider) as server:
        *refused, secret = at_once(
            partial(reelhook, directory=tmp_path),
            ("serve", "--simulate", "--port", "0"),
            ("migrate",),
            ("rollback", "--destroy"),
            ("secret",),
        )
        for outcome in refused:
            assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
            assert str(server.process.pid) in outcome.err
        assert secret.code == 0
        assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.long
def test_serve_and_simulate_end_cleanly(tmp_path: Path, number: int) -> None:
    with simulator(tmp_path) as provider, serve(tmp_path, provider) as server:
        assert server.stop(number) == 0
        assert provider.stop(number) == 0


def test_the_log_is_json_lines_on_stdout(tmp_path: Path) -> None:
    arguments = ("serve", "--simulate", "--port", "0")
    with start(*arguments, directory=tmp_path, says="reelhook listens on") as server:
        assert server.process.stdout is not None
        server.process.send_signal(signal.SIGTERM)
        entries = [json.loads(line) for line in server.process.stdout]
        assert server.stop() == 0
    assert entries[-1]["event"] == "Sora polling service stopped"


def test_a_terminal_shows_the_inherited_lines(tmp_path: Path) -> None:
    code, shown = on_terminal(
        *("serve", "--simulate", "--port", "0", "--verbose"),
        directory=tmp_path,
        until="reelhook listens on",
        OPENAI_API_KEY="sk-hunter2-hunter2",
    )
    assert code == 0
    assert "🔍 Starting Sora API polling service..." in shown
    assert "✅ Sora polling service started (interval: 5000ms)" in shown
    assert "⏹️  Sora polling service stopped" in shown
    assert "hunter2" not in shown


@pytest.mark.long
def test_dotenv_reaches_the_server_and_the_commands(tmp_path: Path) -> None:
    with simulator(tmp_path) as provider:
        (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={provider.url}/v1\nPORT=0\n")
        with start("serve", directory=tmp_path, says="reelhook listens on") as server:
            (tmp_path / ".env").write_text(f"REELHOOK_URL={server.url}\n")
            assert reelhook("stats", "--json", directory=tmp_path).json["jobs"]["total"] == 0


@pytest.mark.long
def test_the_schema_goes_forward_and_back_one_revision_at_a_time(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        outcome = reelhook(*arguments, directory=tmp_path)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out

    assert run("migrate") == "Applied 0001_core.\n"
    assert "0002" in one_line(tmp_path, "serve", "--no-migrate", "--simulate", "--port", "0")
    forward = json.loads(run("migrate", "--all", "--json"))["applied"]
    assert forward[0] == "0002_tracking"
    assert run("migrate") == "The schema is up to date.\n"
    for revision in reversed(forward):
        assert run("rollback") == f"Rolled back {revision}.\n"
    assert "--destroy" in one_line(tmp_path, "rollback")
    assert json.loads(run("rollback", "--destroy", "--json")) == {"rolledBack": "0001_core"}
    assert run("rollback") == "The database has no schema yet.\n"


def test_the_secret_is_shown_in_both_forms_without_a_database(tmp_path: Path) -> None:
    outcome = reelhook("secret", "--json", directory=tmp_path, WEBHOOK_SECRET="hunter2")
    assert outcome.json == {"secret": "hunter2", "standardWebhooks": "whsec_aHVudGVyMg=="}
    assert not list(tmp_path.iterdir())


def test_the_public_keys_are_shown_beside_the_secret(tmp_path: Path) -> None:
    made = [
        reelhook("secret", "--new-private-key", "--json", directory=tmp_path).json for _ in "12"
    ]
    variables = {
        "WEBHOOK_SECRET": "hunter2",
        "REELHOOK_WEBHOOK_PRIVATE_KEY": ",".join(one["privateKey"] for one in made),
    }
    public = [one["publicKey"] for one in made]
    assert len(set(public)) == 2
    shown = reelhook("secret", "--json", directory=tmp_path, **variables).json
    assert shown == {
        "secret": "hunter2",
        "standardWebhooks": "whsec_aHVudGVyMg==",
        "publicKeys": public,
    }
    lines = reelhook("secret", directory=tmp_path, **variables).out.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == [
        "hunter2",
        "whsec_aHVudGVyMg==",
        *public,
    ]
    assert not list(tmp_path.iterdir())


def test_a_new_private_key_is_shown_with_its_public_one(tmp_path: Path) -> None:
    made = reelhook("secret", "--new-private-key", directory=tmp_path, WEBHOOK_SECRET="whsec_?")
    private, public = (line.partition(": ")[2] for line in made.out.splitlines())
    assert str(PrivateKey.parse(private).public) == public
    _, shown = on_terminal("secret", "--new-private-key", directory=tmp_path)
    assert "Put the private key first in REELHOOK_WEBHOOK_PRIVATE_KEY" in shown


def test_a_bad_private_key_stops_the_start(tmp_path: Path) -> None:
    line = one_line(
        tmp_path, "serve", "--simulate", REELHOOK_WEBHOOK_PRIVATE_KEY="whsk_hunter2", code=78
    )
    assert "REELHOOK_WEBHOOK_PRIVATE_KEY" in line
    assert "hunter2" not in line


def test_a_made_secret_stays_the_same(tmp_path: Path) -> None:
    first, second = (reelhook("secret", directory=tmp_path).out for _ in range(2))
    assert first == second
    assert first.count("whsec_") == 2


@pytest.mark.long
def test_the_simulator_has_the_faults_it_was_told(tmp_path: Path) -> None:
    arguments = ("--server-error", "0.25", "--render-seconds", "30", "--no-listing")
    with (
        simulator(tmp_path, *arguments) as program,
        urlopen(f"{program.url}/simulator/faults") as response,  # noqa: S310 - loopback
    ):
        faults = json.load(response)
    assert (faults["server_error"], faults["render_seconds"]) == (0.25, 30)
    assert faults["listing"] is False


def test_a_closed_pipe_ends_a_command_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "secret"],
        cwd=tmp_path,
        env=environment(WEBHOOK_SECRET="hunter2"),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr


@pytest.mark.long
def test_serve_raises_the_soft_limit_of_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))  # its child has it too
    try:
        with simulator(tmp_path) as provider, serve(tmp_path, provider) as server:
            limits = Path(f"/proc/{server.process.pid}/limits").read_text()
            [line] = [one for one in limits.splitlines() if one.startswith("Max open files")]
            assert line.split()[3:5] == [str(hard), str(hard)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_connections_than_files_stop_the_start(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = str(min(hard, 1_000_000))
    line = one_line(tmp_path, "serve", "--simulate", "--port", "0", REELHOOK_CONNECTIONS_MAX=wanted)
    assert "REELHOOK_CONNECTIONS_MAX" in line
