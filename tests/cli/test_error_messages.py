"""The command line's sentences come from an error's code and facts, not from its prose."""

import string

import pytest

from reelhook.cli import error_messages
from reelhook.cli.client import ApiError
from reelhook.cli.error_messages import command_line_message
from reelhook.config import Settings
from reelhook.domain.errors import BadKeyError, SettingsError
from reelhook.domain.signing_keys import PrivateKey


def refused(code: str, problem: str | None = None, **facts: object) -> ApiError:
    return ApiError("as HTTP says it; GET /api/x", code, problem=problem, facts=facts)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refused("job_not_found"), "Job not found; `reelhook jobs` lists them"),
        (
            refused("invalid_request", "unknown_endpoint", endpointId="ep_1"),
            "There is no endpoint ep_1; `reelhook endpoints list` lists the registered ones",
        ),
        (
            refused("conflict", "not_in_doubt", jobId="job_1"),
            "The job is not in doubt; `reelhook jobs --in-doubt` lists the jobs that are",
        ),
        (
            refused("not_cancelable"),
            (
                "The provider can't cancel this job, so the render is paid for; "
                "cancel with --force to stop watching it"
            ),
        ),
        (
            refused("acceptance_unknown", "submit_unknown", jobId="job_1", key="k"),
            (
                "The database did not say whether it kept the job job_1, so it may have been "
                "accepted. Submit it again only with --idempotency-key k: "
                "then nothing is paid twice"
            ),
        ),
        (
            SettingsError("x", problem="no_database", facts={"database": "/x/reelhook.db"}),
            (
                "There is no database /x/reelhook.db; name its directory with --data-dir, "
                "or start `reelhook serve` once"
            ),
        ),
    ],
)
def test_a_remedy_is_a_command(error: ApiError | SettingsError, sentence: str) -> None:
    assert command_line_message(error) == sentence


@pytest.mark.parametrize(
    "error",
    [
        refused("invalid_request"),
        refused("of_a_newer_server", "of_a_newer_server"),
        refused("invalid_request", "unknown_endpoint"),
    ],
)
def test_an_error_without_a_sentence_or_its_facts_keeps_the_servers(error: ApiError) -> None:
    assert command_line_message(error) == error.message


def test_a_malformed_private_key_names_the_command_that_makes_one() -> None:
    with pytest.raises(BadKeyError) as caught:
        PrivateKey.parse("whsk_?", name="REELHOOK_WEBHOOK_PRIVATE_KEY")
    assert "`" not in caught.value.message
    assert "`reelhook secret --new-private-key` makes one" in command_line_message(caught.value)


def test_a_malformed_encryption_key_names_the_command_that_makes_one() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.of(encryption_keys="rhek_hunter2")
    assert "`" not in caught.value.message
    line = command_line_message(caught.value)
    assert line.startswith("REELHOOK_ENCRYPTION_KEYS is not rhek_ and the base64 of 32 bytes")
    assert "`reelhook keys new-encryption-key`" in line
    assert "hunter2" not in line


def test_no_sentence_names_a_route() -> None:
    for sentence in error_messages._SENTENCES.values():
        assert "/api/" not in sentence
        assert list(string.Formatter().parse(sentence))
