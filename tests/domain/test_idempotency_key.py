"""An idempotency key belongs to its project."""

from reelhook.domain.caller import DEFAULT_PROJECT, OPERATOR, Caller, Scope
from reelhook.ports import SOLE_HOLDER, IdempotencyKey

KEY = IdempotencyKey("a client", "key-1", "f")


def caller(project: str, key_id: str | None = None) -> Caller:
    return Caller(project, frozenset({Scope.SUBMIT}), key_id)


def test_every_key_of_a_project_holds_the_same_idempotency_keys() -> None:
    first, rotated = KEY.of(caller("prj_1", "key_1")), KEY.of(caller("prj_1", "key_2"))
    assert first == rotated
    assert first == KEY.of(OPERATOR.within("prj_1"))
    assert first.holder != KEY.of(caller("prj_2", "key_1")).holder


def test_clients_without_a_key_are_distinguished_in_the_default_project() -> None:
    assert KEY.of(OPERATOR) == KEY
    assert KEY.of(caller(DEFAULT_PROJECT, "key_1")).holder == SOLE_HOLDER


def test_no_holder_matches_across_projects() -> None:
    ours, theirs = KEY.of(caller("prj_1")), KEY.of(caller("prj_2"))
    sole = IdempotencyKey(SOLE_HOLDER, "key-1", "f")
    keys = [ours, theirs, sole, KEY]
    matching = [(a.holder, b.holder) for a in keys for b in keys if a.matches(b.holder)]
    in_default = {SOLE_HOLDER, "a client"}
    assert all(one == other or {one, other} == in_default for one, other in matching)
    assert sole.matches("a client")
    assert KEY.matches(SOLE_HOLDER)
