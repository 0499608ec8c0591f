from itertools import pairwise

import pytest

from reelhook.domain.caller import (
    ANONYMOUS,
    DEFAULT_PROJECT,
    DOWNLOADER,
    OPERATOR,
    PROVIDER,
    Caller,
    Scope,
    ScopeMissingError,
)


def test_each_scope_includes_those_before_it_and_none_after() -> None:
    for lower, higher in pairwise(Scope):
        assert Caller("p", frozenset({higher})).allows(lower)
        assert not Caller("p", frozenset({lower})).allows(higher)


def test_a_missing_scope_is_named() -> None:
    with pytest.raises(ScopeMissingError, match="the scope operate") as refused:
        DOWNLOADER.require(Scope.OPERATE)
    assert refused.value.scope is Scope.OPERATE
    assert refused.value.code == "scope_missing"


def test_the_callers_of_today_act_in_the_default_project() -> None:
    callers = (ANONYMOUS, DOWNLOADER, PROVIDER, OPERATOR)
    assert {caller.project for caller in callers} == {DEFAULT_PROJECT}
    assert [max(caller.scopes, default=None) for caller in callers] == [
        *(None, Scope.READ, Scope.OPERATE, Scope.OPERATOR)
    ]
    assert all(OPERATOR.allows(scope) for scope in Scope)
    assert not any(ANONYMOUS.allows(scope) for scope in Scope)
