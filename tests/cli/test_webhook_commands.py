import json
import os
import subprocess
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from cli_programs import COMMAND, Outcome, at_once, environment, on_terminal, reelhook

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "webhooks" / "url_cases.json").read_text(encoding="utf-8")
)
PUBLIC, PRIVATE = "https://hooks.example.com/", "http://app:3000/hook"


def check(*arguments: str, directory: Path, **variables: Any) -> Outcome:
    return reelhook("webhooks", "check", *arguments, directory=directory, **variables)


def answers(case: dict[str, Any]) -> tuple[str, ...]:
    return ("--answers", ",".join(case["look_ups"][0])) if "look_ups" in case else ()


def test_every_case_of_a_url_is_judged_right(tmp_path: Path) -> None:
    groups = {
        options: list(cases) for options, cases in groupby(sorted(CASES, key=answers), answers)
    }
    commands = (("--json", *options, "--", *urls(cases)) for options, cases in groups.items())
    outcomes = at_once(partial(check, directory=tmp_path), *commands)
    for cases, outcome in zip(groups.values(), outcomes, strict=True):
        # A redirect is refused when the receiver answers with it; the URL itself is fine.
        allowed = [case["allowed"] or "redirect" in case for case in cases]
        verdicts = outcome.json
        assert [verdict["url"] for verdict in verdicts] == urls(cases)
        assert [verdict["allowed"] for verdict in verdicts] == allowed
        for verdict in verdicts:
            assert set(verdict) == {"url", "allowed", "reason"}
            assert (verdict["reason"] is None) == verdict["allowed"]
        assert (outcome.code, outcome.err) == (0 if all(allowed) else 1, "")
    assert sum(map(len, groups.values())) == 123


def urls(cases: list[dict[str, Any]]) -> list[str]:
    return [case["url"] for case in cases]


def test_urls_come_from_stdin_too_one_a_line(tmp_path: Path) -> None:
    lines = f"{PUBLIC}\r\n\n{PRIVATE}\n  \nhttps://a.example/\x0b"
    outcome = check("--json", "http://127.0.0.1/", "-", PUBLIC, directory=tmp_path, stdin=lines)
    expected = ["http://127.0.0.1/", PUBLIC, PRIVATE, "https://a.example/\x0b", PUBLIC]
    assert [verdict["url"] for verdict in outcome.json] == expected
    assert [verdict["allowed"] for verdict in outcome.json] == [False, True, False, False, True]
    assert outcome.code == 1


def test_what_is_no_utf_8_is_refused_like_any_url(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "webhooks", "check", "--json", "-", b"https://b\xfc.example/"],
        cwd=tmp_path,
        env=environment(),
        input=b"https://a\xff.example/\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    verdicts = json.loads(done.stdout)
    assert [verdict["allowed"] for verdict in verdicts] == [False, False]
    assert [os.fsencode(verdict["url"]) for verdict in verdicts] == [
        b"https://a\xff.example/",
        b"https://b\xfc.example/",
    ]
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_operators_networks_are_honoured(tmp_path: Path) -> None:
    ours = ("--answers", "172.18.0.2", PRIVATE)
    run = partial(check, directory=tmp_path)
    assert run(*ours).code == 1
    assert run(*ours, "--allow-networks", "172.16.0.0/12").code == 0
    assert run(*ours, REELHOOK_ALLOW_NETWORKS="172.16.0.0/12").code == 0
    # The option takes the setting's place.
    refused = run(*ours, "--allow-networks", "10.0.0.0/8", REELHOOK_ALLOW_NETWORKS="172.16.0.0/12")
    assert refused.code == 1
    assert "172.18.0.2/32" in refused.out


def test_plain_lines_tell_the_verdict_the_url_and_the_reason(tmp_path: Path) -> None:
    outcome = check(PUBLIC, "http://127.1/", directory=tmp_path)
    header, allowed, refused = outcome.out.splitlines()
    assert header == "VERDICT\tURL\tREASON"
    assert allowed == f"allowed\t{PUBLIC}\t"
    assert refused.startswith("refused\thttp://127.1/\t127.1 is not a plain IPv4 address")


def test_no_url_may_move_the_cursor(tmp_path: Path) -> None:
    outcome = check("https://\x1b[2J.example/\nallowed", directory=tmp_path)
    assert "\x1b" not in outcome.out
    assert len(outcome.out.splitlines()) == 2


def test_a_terminal_shows_marks_and_whole_reasons(tmp_path: Path) -> None:
    code, shown = on_terminal(
        *("webhooks", "check", "--answers", "10.0.0.5", PUBLIC, "http://93.184.215.14/"),
        directory=tmp_path,
    )
    assert code == 1
    assert f"✗ refused  {PUBLIC}" in shown
    assert "✓ allowed  http://93.184.215.14/" in shown
    assert "…" not in shown
    # The last words of a reason of several lines.
    assert "REELHOOK_ALLOW_NETWORKS" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing argument 'URL'"),
        (("-",), "stdin has no URL"),
        (("--answers", "nonsense", PUBLIC), "'nonsense'"),
        (("--answers", "8.8.8.8,", PUBLIC), "IP addresses, separated by commas"),
        (("--answers", "nonsense", "http://localhost/"), "'nonsense'"),
        (("--allow-networks", "nonsense", PUBLIC), "REELHOOK_ALLOW_NETWORKS"),
        (("--anwsers", "8.8.8.8", PUBLIC), "--answers"),
    ],
)
def test_wrong_usage_is_one_sentence_and_never_taken_for_a_refusal(
    arguments: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    outcome = check(*arguments, directory=tmp_path, stdin="")
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert outcome.err.count("\n") == 1
