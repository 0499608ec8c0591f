"""What a start shows of its secret, and where it answers."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from cli_programs import COMMAND, environment, on_terminal, reelhook, start

pytestmark = pytest.mark.long

SERVE = ("serve", "--simulate", "--port", "0")
LISTENS = "reelhook listens on"


def test_a_made_secret_is_in_no_log(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, *SERVE],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if LISTENS in line:
                process.terminate()
        assert process.wait() == 0
    assert all(json.loads(line)["event"] for line in lines)
    assert any("`reelhook secret` shows it" in line for line in lines)
    secret = reelhook("secret", "--json", directory=tmp_path).json["secret"]
    assert secret.startswith("whsec_")
    assert "whsec_" not in "".join(lines)


def test_a_made_secret_is_shown_to_the_person_at_the_terminal(tmp_path: Path) -> None:
    _, shown = on_terminal(*SERVE, directory=tmp_path, until=LISTENS)
    secret = reelhook("secret", "--json", directory=tmp_path).json["secret"]
    assert f"one was generated: {secret}" in shown
    _, again = on_terminal(*SERVE, directory=tmp_path, until=LISTENS)
    assert secret not in again


def answers_on_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not answers_on_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", "::1"])
def test_the_command_line_finds_a_server_on_ipv6_by_default(tmp_path: Path, host: str) -> None:
    variables = {"REELHOOK_HOST": host, "REELHOOK_API_KEY": "a-long-random-text"}
    with start(*SERVE, directory=tmp_path, says=LISTENS, **variables) as server:
        port = server.url.rpartition(":")[2]
        stats = reelhook("stats", "--json", directory=tmp_path, PORT=port, **variables)
        assert (stats.code, stats.err) == (0, "")
        assert stats.json["jobs"]["total"] == 0
        if host == "::":
            for address in ("127.0.0.1", "[::1]"):
                url = f"http://{address}:{port}"
                one = reelhook("stats", directory=tmp_path, REELHOOK_URL=url, **variables)
                assert one.code == 0
