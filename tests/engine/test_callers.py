"""Every use case takes a caller first, and looks at what it may do before anything else."""

import inspect
from contextlib import AbstractAsyncContextManager
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

import reelhook
from reelhook.domain.caller import ANONYMOUS, Caller, ScopeMissingError
from reelhook.doors.compat.functions import Hook
from reelhook.gateway import Gateway

OF_THE_PROCESS = {("feed", "changed"), ("feed", "stopping"), ("feed", "stop")}
"""No use cases: how the process wakes and ends those who wait."""
AUTHENTICATING = {
    ("authentication", name)
    for name in (
        "key",
        "key_of_hash",
        "key_of_token",
        "check_expiry",
        "key_required",
        "forget",
        "lifetime",
    )
}
"""No use cases either: they find out who the caller is."""
OPEN = {("operations", "watching_paused_since"), ("operations", "check_writable")}
"""A health check may ask these, which tell nothing of any job."""


def use_cases() -> list[tuple[str, str, Any]]:
    kinds = get_type_hints(Gateway)
    return [
        (field.name, name, function)
        for field in fields(Gateway)
        for name, function in vars(kinds[field.name]).items()
        if not name.startswith("_")
        and not isinstance(function, property)  # of the process, not of a job
        and (field.name, name) not in OF_THE_PROCESS | AUTHENTICATING
    ]


def test_the_caller_is_the_first_argument_of_every_use_case() -> None:
    assert len(use_cases()) > 35
    for part, name, function in use_cases():
        first = list(inspect.signature(function).parameters.values())[1]
        assert (first.name, first.annotation) == ("caller", Caller), (part, name)


async def called(function: Any, *arguments: Any) -> None:
    found = function(*arguments)
    if inspect.isawaitable(found):
        await found
    elif isinstance(found, AbstractAsyncContextManager):
        async with found:
            pass


async def test_nothing_is_done_for_a_caller_without_scopes(hook: Hook) -> None:
    for part, name, function in use_cases():
        required = [
            parameter
            for parameter in list(inspect.signature(function).parameters.values())[2:]
            if parameter.default is inspect.Parameter.empty
        ]
        bound = getattr(getattr(hook.gateway, part), name)
        if (part, name) in OPEN:
            await bound(ANONYMOUS)
            continue
        with pytest.raises(ScopeMissingError):
            await called(bound, ANONYMOUS, *(None for _ in required))
    assert isinstance(hook, reelhook.Hook)
