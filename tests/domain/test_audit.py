"""Entries of the audit trail: what they show, and what they hide."""

from dataclasses import replace

from reelhook.domain.audit import Action, AuditEntry, Hidden
from reelhook.domain.audit_facts import endpoint_facts
from reelhook.domain.caller import ANONYMOUS, OPERATOR, PROVIDER, Actor, Caller, Scope
from reelhook.domain.endpoint import MASK, Endpoint, EndpointKind

NOW = 1_767_225_600_000
KEY = Caller(
    "prj_1", frozenset({Scope.ADMIN}), key_id="key_1", key_name="shop", address="192.0.2.7"
)
ENDPOINT = Endpoint(
    "ep_1",
    EndpointKind.REGISTERED,
    "https://h.example/hook?token=hunter2",
    trusted=False,
    created_at=NOW,
    headers=(("Authorization", "Bearer hunter2"),),
    secret="whsec_hunter2",
)


def entry(caller: Caller = KEY) -> AuditEntry:
    return AuditEntry.by(caller, NOW, Action.ENDPOINT_CHANGED, "ep_1", caller.project)


def test_an_entry_says_who_what_when_and_from_where() -> None:
    made = entry()
    assert (made.actor, made.key_id, made.key_name) == (Actor.KEY, "key_1", "shop")
    assert (made.at, made.address, made.project) == (NOW, "192.0.2.7", "prj_1")
    assert (made.action, made.target) == (Action.ENDPOINT_CHANGED, "ep_1")


def test_actors_are_told_apart() -> None:
    assert OPERATOR.actor is Actor.OPERATOR
    assert OPERATOR.address == "local"
    assert replace(OPERATOR, proven=True).actor is Actor.OPERATOR_PROOF
    assert replace(OPERATOR, key_id="key_1").actor is Actor.KEY
    assert PROVIDER.actor is Actor.PROVIDER
    assert ANONYMOUS.actor is Actor.PROVIDER  # it may change nothing, so it is never named


def test_only_the_fields_that_differ_are_kept() -> None:
    changed = entry().changing(
        endpoint_facts(ENDPOINT), endpoint_facts(replace(ENDPOINT, description="mine"))
    )
    assert (changed.before, changed.after) == ({"description": None}, {"description": "mine"})
    assert not changed.empty


def test_a_change_that_changes_nothing_is_empty() -> None:
    facts = endpoint_facts(ENDPOINT)
    assert entry().changing(facts, dict(facts)).empty


def test_a_new_target_shows_all_fields_and_no_secret() -> None:
    created = entry().changing(None, endpoint_facts(ENDPOINT))
    assert created.before is None
    assert created.after is not None
    assert created.after["secret"] == MASK
    assert created.after["headers.Authorization"] == MASK
    assert str(created.after["url"]).startswith("https://h.example/...")
    assert "hunter2" not in repr(created)


def test_of_a_secret_only_the_change_is_shown() -> None:
    rotated = replace(
        ENDPOINT,
        secret="whsec_other",
        headers=(("Authorization", "Bearer other"), ("X-New", "other")),
    )
    changed = entry().changing(endpoint_facts(ENDPOINT), endpoint_facts(rotated))
    assert changed.before == {
        "headers.Authorization": MASK,
        "secret": MASK,
        "headers.X-New": None,
    }
    assert changed.after == {
        "headers.Authorization": "changed",
        "secret": "changed",
        "headers.X-New": MASK,
    }
    removed = entry().changing(endpoint_facts(ENDPOINT), None)
    assert removed.after is None
    assert removed.before is not None
    assert removed.before["secret"] == MASK


def test_a_hidden_value_is_in_no_text() -> None:
    assert "hunter2" not in repr(Hidden("hunter2"))


def test_every_action_names_its_target_and_what_happened() -> None:
    for action in Action:
        kind, dot, happened = action.value.partition(".")
        assert kind.isalpha()
        assert dot
        assert happened.isalpha()
