"""Every URL that was ever used to reach where a webhook must not go, and some that may pass."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from webhook_receivers import (
    Receiver,
    Switchboard,
    client_tls,
    ok,
    receiver,
    request,
    resolving,
    server_tls,
)

from reelhook.guard.addresses import AddressPolicy, LookUp, check_registration, judge
from reelhook.guard.networks import IPAddress
from reelhook.guard.target import AddressRefusedError
from reelhook.webhooks.sender import AiohttpSender

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "url_cases.json").read_text(encoding="utf-8")
)
REFUSED = [case for case in CASES if not case["allowed"] and "redirect" not in case]
ALLOWED = [case for case in CASES if case["allowed"]]
REDIRECTS = [case for case in CASES if "redirect" in case]
PUBLIC = AddressPolicy()


def named(case: dict[str, Any]) -> str:
    return f"{case['kind']}: {case['because']}"


def addresses(texts: list[str]) -> list[IPAddress]:
    return [ip_address(text) for text in texts]


def look_up_of(case: dict[str, Any]) -> tuple[LookUp, list[str]]:
    return resolving(*(addresses(answer) for answer in case.get("look_ups", [[]])))


@dataclass(frozen=True)
class Delivering:
    sender: AiohttpSender
    board: Switchboard
    plain: Receiver
    secure: Receiver
    asked: list[str]


def test_no_case_is_missing() -> None:
    assert len(CASES) == 123
    assert (len(REFUSED), len(ALLOWED), len(REDIRECTS)) == (105, 13, 5)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_url_is_judged_by_itself_and_its_first_answers(case: dict[str, Any]) -> None:
    answers = case["look_ups"][0] if "look_ups" in case else None
    verdict = judge(case["url"], answers)
    # A redirecting receiver's own address is fine; what it answers is the sender's matter.
    assert verdict.allowed == (case["allowed"] or "redirect" in case), verdict.reason
    assert (verdict.reason is None) == verdict.allowed


@pytest.mark.parametrize("case", REFUSED, ids=named)
async def test_registration_refuses_what_is_wrong_in_the_url_and_asks_no_name_server(
    case: dict[str, Any],
) -> None:
    look_up, asked = resolving([])
    if case["kind"] in {"dns", "dns-rebinding"}:
        await check_registration(case["url"], PUBLIC, look_up)
    else:
        with pytest.raises(AddressRefusedError):
            await check_registration(case["url"], PUBLIC, look_up)
    assert asked == []


@pytest.mark.parametrize("case", REFUSED, ids=named)
async def test_a_refused_url_is_never_dialled(case: dict[str, Any]) -> None:
    board = Switchboard(lambda _: 9)
    async with AiohttpSender(
        PUBLIC, look_up=look_up_of(case)[0], open_socket=board.open_socket
    ) as sender:
        answer = await sender.send(request(case["url"]))
    assert board.opened == []
    assert answer.status is None
    assert answer.error == ("dns" if case.get("look_ups") == [[]] else "address_refused")
    assert answer.detail


@contextlib.asynccontextmanager
async def delivering(case: dict[str, Any], answer: bytes) -> AsyncIterator[Delivering]:
    """Run a receiver for http and https each, and a sender for which the whole world is them."""
    look_up, asked = look_up_of(case)
    async with (
        receiver(answer) as plain,
        receiver(answer, server_tls("receiver")) as secure,
    ):
        board = Switchboard(lambda port: plain.port if port == 80 else secure.port)
        async with AiohttpSender(
            PUBLIC, look_up=look_up, open_socket=board.open_socket, tls=client_tls()
        ) as sender:
            yield Delivering(sender, board, plain, secure, asked)


@pytest.mark.parametrize("case", ALLOWED, ids=named)
async def test_an_allowed_url_is_dialled_at_the_address_that_was_judged(
    case: dict[str, Any],
) -> None:
    literal = case["url"].split("/")[2]
    expected = case["look_ups"][0] if "look_ups" in case else [literal]
    async with delivering(case, ok(b"thanks")) as run:
        answer = await run.sender.send(request(case["url"]))
        assert (answer.status, answer.error, answer.body) == (200, None, "thanks")
        assert run.board.opened == expected
        assert len(run.asked) <= 1
        assert not set(run.board.opened) & set(case.get("must_not_dial", []))


@pytest.mark.parametrize("case", REDIRECTS, ids=named)
async def test_the_target_of_a_redirect_is_never_contacted(case: dict[str, Any]) -> None:
    status, location = case["redirect"]["status"], case["redirect"]["location"]
    moved = ok(b"", f"Location: {location}", status=f"{status} Moved")
    async with delivering(case, moved) as run:
        answer = await run.sender.send(request(case["url"]))
        assert (answer.status, answer.error, answer.succeeded) == (status, "redirect", False)
        assert location in (answer.detail or "")
        assert run.board.opened == case["look_ups"][0]
        assert (len(run.plain.requests), len(run.secure.requests)) == (0, 1)


async def test_a_name_that_was_public_at_registration_is_refused_when_it_is_sent_to() -> None:
    (case,) = (case for case in CASES if "registered_with" in case)
    registered, _ = resolving(addresses(case["registered_with"]))
    await check_registration(case["url"], PUBLIC, registered)
    async with delivering(case, ok(b"")) as run:
        answer = await run.sender.send(request(case["url"]))
        assert answer.error == "address_refused"
        assert run.board.opened == []
