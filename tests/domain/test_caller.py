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


def test_the_operator_sees_all_projects_until_it_chooses_one() -> None:
    assert OPERATOR.sees is None
    chosen = OPERATOR.within("prj_1")
    assert (chosen.project, chosen.sees) == ("prj_1", "prj_1")
    assert chosen.may_see("prj_1")
    assert not chosen.may_see("default")


def test_a_key_sees_its_project_alone() -> None:
    caller = Caller("prj_1", frozenset({Scope.ADMIN}))
    assert caller.sees == "prj_1"
    assert not caller.may_see("default")


def test_the_address_of_a_job_works_in_every_project() -> None:
    for caller in (PROVIDER, DOWNLOADER):
        assert caller.sees is None
        assert not caller.allows(Scope.OPERATOR)
