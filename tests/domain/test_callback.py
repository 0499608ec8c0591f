"""The addresses that providers call: nobody can guess one, or turn one into another."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.callback import CallbackAddresses, Subject, SubjectKind

OURS = CallbackAddresses("https://us.example", "our key", {"fal": "fal", "fal-eu": "fal"})
JOB = Subject(SubjectKind.JOB, "job_1")
ACCOUNT = Subject(SubjectKind.ACCOUNT, "job_1")


def token(callbacks: CallbackAddresses, provider: str, subject: Subject) -> str:
    return callbacks.address(provider, subject).rpartition("/")[2]


def test_an_address_is_below_ours_and_its_provider_s() -> None:
    address = OURS.url("fal-eu", "job_1")
    assert address is not None
    assert address.startswith("https://us.example/providers/fal/webhook/job.job_1.")
    assert OURS.subject("fal", address.rpartition("/")[2]) == JOB


def test_accounts_whose_providers_call_nobody_have_no_addresses() -> None:
    assert OURS.url("openai", "job_1") is None


@given(st.sampled_from(SubjectKind), st.from_regex("[A-Za-z0-9._-]+", fullmatch=True))
def test_an_address_says_whom_it_is_about(kind: SubjectKind, subject_id: str) -> None:
    subject = Subject(kind, subject_id)
    assert OURS.subject("fal", token(OURS, "fal", subject)) == subject


def test_an_address_of_another_provider_is_not_ours() -> None:
    assert OURS.subject("ark", token(OURS, "fal", JOB)) is None


def test_an_address_of_another_installation_is_not_ours() -> None:
    assert OURS.subject("fal", token(replace(OURS, key="their key"), "fal", JOB)) is None


@pytest.mark.parametrize("subject", [Subject(SubjectKind.JOB, "job_2"), ACCOUNT])
def test_a_token_does_not_serve_for_another(subject: Subject) -> None:
    proof = token(OURS, "fal", JOB).rpartition(".")[2]
    forged = f"{subject.kind.value}.{subject.id}.{proof}"
    assert OURS.subject("fal", forged) is None


@given(st.text())
def test_nothing_that_is_made_up_is_ours(made_up: str) -> None:
    assert OURS.subject("fal", made_up) is None
    assert OURS.subject("fal", f"job.job_1.{made_up}") is None


def test_every_character_of_a_token_counts() -> None:
    good = token(OURS, "fal", JOB)
    for place in range(len(good)):
        other = "0" if good[place] != "0" else "1"
        assert OURS.subject("fal", good[:place] + other + good[place + 1 :]) is None
    assert OURS.subject("fal", good[:-1]) is None
    assert OURS.subject("fal", good.upper()) is None
