"""The limits of labels, and their one form."""

from typing import Any

import pytest

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.labels import Labels, check_labels
from reelhook.domain.priority import Priority, PriorityRefusedError, priority_of

FULL = {f"{number:064}": "x" * 512 for number in range(16)}


def test_labels_of_the_greatest_length_are_accepted() -> None:
    check_labels(Labels("x" * 128, FULL))
    check_labels(Labels(None, {"x": ""}))


@pytest.mark.parametrize(
    ("labels", "field", "message"),
    [
        (Labels(""), "external_id", "must not be empty"),
        (Labels("x" * 129), "external_id", "at most 128 characters"),
        (Labels("\0"), "external_id", "NUL"),
        (Labels(None, FULL | {"one": "more"}), "metadata", "at most 16"),
        (Labels(None, {"": "x"}), "metadata", "names of 1 to 64 characters"),
        (Labels(None, {"x" * 65: "x"}), "metadata", "names of 1 to 64 characters"),
        (Labels(None, {"\0": "x"}), "metadata", "NUL"),
        (Labels(None, {"\ud800": "x"}), "metadata", "Unicode"),
        (Labels(None, {"order": "x" * 513}), "metadata.order", "at most 512 characters"),
        (Labels(None, {"order": "\ud800"}), "metadata.order", "Unicode"),
    ],
)
def test_other_labels_are_refused_with_their_field(
    labels: Labels, field: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as refused:
        check_labels(labels)
    assert refused.value.field == field


@pytest.mark.parametrize("metadata", [{"order": 7}, {7: "x"}, [("order", "7")]])
def test_metadata_that_is_not_text_is_refused(metadata: Any) -> None:
    with pytest.raises(InvalidRequestError):
        check_labels(Labels(None, metadata))


def test_equal_metadata_has_the_same_text() -> None:
    assert Labels(None, {"b": "2", "a": "1"}).metadata_json == '{"a": "1", "b": "2"}'
    assert Labels().metadata_json is None


def test_a_priority_has_a_name() -> None:
    assert [priority_of(word) for word in ("low", "normal", "high")] == list(Priority)
    with pytest.raises(InvalidRequestError, match="low, normal, high, not urgent"):
        priority_of("urgent")


def test_a_refused_priority_names_those_that_are_allowed() -> None:
    assert "must be one of low, normal in this project" in str(
        PriorityRefusedError(Priority.HIGH, 0)
    )
