"""Projects: their names and limits, the rotation of their secret, and their closing."""

import pytest

from reelhook.domain.endpoint import default_id, url_id
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.project import (
    MODELS_MAX,
    Project,
    SigningSecrets,
    check_limits,
    check_models,
    check_name,
    may_exist,
)

NOW = 1_767_225_600_000
SHOP = Project("prj_shop", "shop", NOW, secret="first")


@pytest.mark.parametrize("name", ["a", "7", "Shop-2_b.c", "x" * 64, "prj", "prj-1", "Default"])
def test_a_name_has_letters_digits_dots_hyphens_and_underscores(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "-a", ".", "a b", "a/b", "ä", "a\n", "a\0", "x" * 65])
def test_another_name_is_refused_with_its_form(name: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_name(name)
    assert (refused.value.field, refused.value.problem) == ("name", Problem.FORM)
    assert not may_exist(name)


@pytest.mark.parametrize("name", ["default", "prj_", "prj_01kc3v9q2f"])
def test_a_name_is_never_mistaken_for_an_id(name: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_name(name)
    assert refused.value.problem is Problem.RESERVED
    assert may_exist(name)


def test_a_rotated_secret_overlaps_for_the_time_that_was_asked_for() -> None:
    rotated = SHOP.rotated("second", NOW, 1000)
    assert (rotated.secret, rotated.previous_secret) == ("second", "first")
    secrets = SigningSecrets("second", rotated.previous_secret, rotated.previous_until)
    assert secrets.honoured_previous(NOW + 999) == "first"
    assert secrets.honoured_previous(NOW + 1000) is None
    assert SigningSecrets("second").honoured_previous(NOW) is None


def test_a_project_stays_closed_since_it_was_and_its_data_may_go_later() -> None:
    closed = SHOP.closed(NOW, delete_data=False)
    assert (closed.closed_at, closed.delete_data) == (NOW, False)
    later = closed.closed(NOW + 5, delete_data=True)
    assert (later.closed_at, later.delete_data) == (NOW, True)
    assert later.closed(NOW + 9, delete_data=False) == later


def test_no_secret_is_in_its_repr() -> None:
    assert "first" not in repr(SHOP.rotated("second", NOW, 1000))
    assert "second" not in repr(SigningSecrets("second", "first", NOW))


@pytest.mark.parametrize(
    ("weight", "priority_max", "field"),
    [(0, None, "weight"), (1001, 1, "weight"), (1, -2, "priority_max"), (None, 2, "priority_max")],
)
def test_a_limit_out_of_range_is_refused(
    weight: int | None, priority_max: int | None, field: str
) -> None:
    check_limits(1, -1)
    check_limits(None, None)
    with pytest.raises(InvalidRequestError) as refused:
        check_limits(weight, priority_max)
    assert refused.value.field == field


@pytest.mark.parametrize("models", [[], [""], ["x" * 201], ["m"] * (MODELS_MAX + 1)])
def test_a_list_of_models_that_allows_nothing_or_too_much_is_refused(models: list[str]) -> None:
    check_models(["openai/sora-2"])
    with pytest.raises(InvalidRequestError):
        check_models(models)


def test_a_url_and_a_default_endpoint_have_an_id_in_each_project() -> None:
    url = "https://h.example/hook"
    assert url_id(url) == url_id(url, "default") != url_id(url, "prj_a") != url_id(url, "prj_b")
    assert url_id(f"{url}?a=1", "prj_a") == url_id(f"{url}?a=2", "prj_a")
    assert default_id("default") == "default"
    assert default_id("prj_a") == "default_prj_a"
