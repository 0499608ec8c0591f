"""Whose a model is, by the name that a user gives it."""

from collections import Counter

import pytest

from reelhook.domain.catalog import Account, Catalog, ModelRoute
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model
from reelhook.domain.price import ModelPrice, PriceLine
from reelhook.domain.request import VideoRequest

from .samples import seeded

ACCOUNTS = (
    Account("openai", "openai"),
    Account("fal", "fal"),
    Account("fal-eu", "fal", weight=3),
    Account("xai", "xai"),
)
MODELS = {
    "fal": (Model("fal-ai/veo2", seconds=("5",)), Model("shared")),
    "xai": (Model("grok"), Model("shared")),
}
ALIASES = {"fast": "fal/fal-ai/veo2", "own": "Wan-AI/Wan2.2", "grok": "openai/sora-2"}
CATALOG = Catalog(ACCOUNTS, MODELS, ALIASES)


def place(choice: ModelRoute) -> tuple[str, str, list[str]]:
    return choice.provider, choice.model, [one.id for one in choice.accounts]


@pytest.mark.parametrize(
    ("name", "provider", "model", "accounts"),
    [
        ("openai/sora-2", "openai", "sora-2", ["openai"]),
        ("fal/fal-ai/veo2", "fal", "fal-ai/veo2", ["fal", "fal-eu"]),
        ("fal-eu/fal-ai/veo2", "fal", "fal-ai/veo2", ["fal-eu"]),
        ("fal/no/one/knows/it", "fal", "no/one/knows/it", ["fal", "fal-eu"]),
        ("xai/grok", "xai", "grok", ["xai"]),
        ("xai/shared", "xai", "shared", ["xai"]),
        # A bare name is an alias, or the model of a provider that lists it, or the default's.
        ("fast", "fal", "fal-ai/veo2", ["fal", "fal-eu"]),
        ("fal-ai/veo2", "fal", "fal-ai/veo2", ["fal", "fal-eu"]),
        ("sora-2", "openai", "sora-2", ["openai"]),
        ("own", "openai", "Wan-AI/Wan2.2", ["openai"]),
        ("grok", "openai", "sora-2", ["openai"]),
        # What stands before a slash is a provider only where there is such a one.
        ("Wan-AI/Wan2.2", "openai", "Wan-AI/Wan2.2", ["openai"]),
        ("openai/Wan-AI/Wan2.2", "openai", "Wan-AI/Wan2.2", ["openai"]),
        ("FAL/x", "openai", "FAL/x", ["openai"]),
        ("/x", "openai", "/x", ["openai"]),
        ("fal/", "openai", "fal/", ["openai"]),
    ],
)
def test_a_name_is_one_provider_s(
    name: str, provider: str, model: str, accounts: list[str]
) -> None:
    assert place(CATALOG.choose(name)) == (provider, model, accounts)


def test_without_a_name_the_openai_server_chooses() -> None:
    chosen = CATALOG.choose("")
    assert (chosen.display_name, chosen.provider, chosen.model) == ("openai", "openai", "")
    assert not chosen.pinned


def test_without_a_name_and_an_openai_server_one_is_asked_for() -> None:
    catalog = Catalog([Account("fal", "fal")], MODELS, {})
    with pytest.raises(InvalidRequestError, match="Name a model") as told:
        catalog.choose("")
    assert told.value.field == "model"


@pytest.mark.parametrize("name", ["/", "//"])
def test_a_name_of_nothing_but_slashes_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        CATALOG.choose(name)


def test_a_model_of_several_providers_wants_to_be_told_apart() -> None:
    with pytest.raises(InvalidRequestError, match="fal/shared or xai/shared") as told:
        CATALOG.choose("shared", "fallbacks")
    assert told.value.field == "fallbacks"


def test_the_default_provider_s_own_model_wins() -> None:
    models = {**MODELS, "openai": (Model("shared"),)}
    assert place(Catalog(ACCOUNTS, models, {}).choose("shared"))[0] == "openai"


def test_without_the_default_provider_an_unlisted_name_is_refused() -> None:
    catalog = Catalog(ACCOUNTS[1:], MODELS, {})
    assert catalog.default_provider == "fal"
    assert place(catalog.choose("grok")) == ("xai", "grok", ["xai"])
    assert place(catalog.choose("xai/unlisted"))[1] == "unlisted"
    with pytest.raises(InvalidRequestError, match="sora-2 is not a model of fal, xai; write"):
        catalog.choose("sora-2")


def test_an_alias_may_have_a_slash_and_is_looked_at_first_and_once() -> None:
    aliases = {"a/b": "xai/grok", "fal/fal-ai/veo2": "xai/grok", "grok": "a/b"}
    catalog = Catalog(ACCOUNTS, MODELS, aliases)
    assert place(catalog.choose("a/b"))[0] == "xai"
    assert place(catalog.choose("fal/fal-ai/veo2"))[0] == "xai"
    assert place(catalog.choose("grok")) == ("openai", "a/b", ["openai"])


def test_a_provider_s_name_goes_before_an_account_s() -> None:
    accounts = (Account("xai", "openai"), Account("mine", "xai"))
    catalog = Catalog(accounts, {}, {})
    assert place(catalog.choose("xai/grok")) == ("xai", "grok", ["mine"])
    assert place(catalog.choose("openai/m"))[2] == ["xai"]


def test_a_choice_is_called_as_users_read_it_whatever_it_was_asked_by() -> None:
    names = ("fast", "fal-eu/fal-ai/veo2", "fal-ai/veo2")
    called = {CATALOG.choose(name).display_name for name in names}
    assert called == {"fal/fal-ai/veo2"}


def test_limits_are_those_of_the_listed_model_and_unlisted_ones_have_none() -> None:
    request = VideoRequest(prompt="A fox", model="fast", seconds="6")
    with pytest.raises(InvalidRequestError, match="veo2 must be one of 5, not 6"):
        CATALOG.choose("fast").check(request)
    assert CATALOG.choose("fal/unlisted").limits is None
    CATALOG.choose("fal/unlisted").check(request)


@pytest.mark.parametrize("name", ["sora-2", "fal/unlisted", "fast"])
def test_a_size_and_a_ratio_that_contradict_each_other_are_refused_for_any_model(name: str) -> None:
    request = VideoRequest(prompt="A fox", model=name, size="1280x720", aspect_ratio="1:1")
    with pytest.raises(InvalidRequestError, match="1:1 does not match size 1280x720") as told:
        CATALOG.choose(name).check(request)
    assert told.value.field == "aspect_ratio"


def test_a_version_of_a_listed_model_has_its_limits_and_prices() -> None:
    built_in, own = (ModelPrice("USD", (PriceLine(amount),), "", None) for amount in (1.0, 2.0))
    limits = {"fal": (Model("a/b", seconds=("5",), price=built_in), Model("a/c:1"))}
    plain = Catalog([Account("fal", "fal")], limits, {})
    versioned = plain.choose("fal/a/b:1f")
    assert (versioned.model, versioned.display_name) == ("a/b:1f", "fal/a/b:1f")
    assert versioned.limits == limits["fal"][0]
    assert plain.choose("fal/a/c:1").limits == limits["fal"][1]
    assert plain.choose("fal/a/c").limits is None
    account = Account("fal", "fal", prices={"a/b": own, "a/b:2": built_in})
    assert account.price_of("a/b:1f", versioned.limits) == own
    assert account.price_of("a/b:2", versioned.limits) == built_in
    assert versioned.accounts[0].price_of("a/b:1f", versioned.limits) == built_in


def test_a_provider_whose_listed_models_take_no_sizes_takes_none() -> None:
    accounts = [Account(name, name) for name in ("fal", "xai", "runway")]
    unsized, sized = Model("m", sizes=()), Model("s", sizes=("1280x720",))
    catalog = Catalog(accounts, {"fal": (unsized,), "runway": (unsized, sized)}, {})
    assert not catalog.choose("fal/new").takes_sizes
    assert catalog.choose("runway/new").takes_sizes
    assert catalog.choose("runway/s").takes_sizes
    assert not catalog.choose("runway/m").takes_sizes
    assert catalog.choose("xai/new").takes_sizes


def test_accounts_are_picked_by_weight() -> None:
    choice, random = CATALOG.choose("fal/x"), seeded(7)
    picked = Counter(choice.pick(random).id for _ in range(4000))
    assert set(picked) == {"fal", "fal-eu"}
    assert 2850 <= picked["fal-eu"] <= 3150


def test_every_listed_model_is_told_once() -> None:
    assert [one.display_name for one in CATALOG.models()] == [
        "fal/fal-ai/veo2",
        "fal/shared",
        "xai/grok",
        "xai/shared",
    ]
    assert CATALOG.providers == ("openai", "fal", "xai")


@pytest.mark.parametrize(
    ("name", "account"), [(None, "openai"), ("fal", "fal"), ("fal-eu", "fal-eu"), ("xai", "xai")]
)
def test_an_account_goes_by_its_name_or_its_provider_s(name: str | None, account: str) -> None:
    assert CATALOG.account(name).id == account


def test_an_account_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="the accounts are openai, fal, fal-eu, xai"):
        CATALOG.account("nobody")


def test_an_account_that_was_named_is_the_job_s_own() -> None:
    names = ("fal-eu/x", "fal/x", "fast", "sora-2")
    assert [CATALOG.choose(name).pinned for name in names] == [True, False, False, False]


def test_an_account_without_weight_gets_what_names_it_alone() -> None:
    apart = Account("apart", "openai", weight=0)
    catalog = Catalog((Account("openai", "openai"), apart, Account("more", "openai")), {}, {})
    assert place(catalog.choose("openai/x"))[2] == ["openai", "more"]
    assert place(catalog.choose("apart/x"))[2] == ["apart"]
    assert catalog.choose("apart/x").pick(seeded(1)) == apart
    assert [catalog.takes_overflow_of(one) for one in ("openai", "apart")] == [["more"], []]
    assert catalog.siblings("openai") == ["apart", "more"]  # they may share a listing all the same
    assert place(Catalog((apart,), {}, {}).choose("x"))[2] == ["apart"]


def test_a_provider_without_an_account_is_not_taken_for_part_of_a_name() -> None:
    catalog = Catalog(ACCOUNTS, MODELS, {"r": "runway/gen4.5"}, {"fal", "openai", "runway"})
    for name in ("runway/gen4.5", "r"):
        with pytest.raises(InvalidRequestError, match="runway has no account here") as told:
            catalog.choose(name)
        assert "openai/runway/gen4.5" in told.value.message
    assert place(catalog.choose("openai/runway/gen4.5"))[1] == "runway/gen4.5"
    assert place(catalog.choose("Wan-AI/Wan2.2"))[0] == "openai"
    without = Catalog(ACCOUNTS[1:], MODELS, {}, {"fal", "openai", "runway"})
    with pytest.raises(InvalidRequestError, match="openai has no account here: set its key"):
        without.choose("openai/sora-2")


def test_siblings_are_the_other_accounts_of_the_provider() -> None:
    assert CATALOG.siblings("fal") == ["fal-eu"]
    assert CATALOG.siblings("fal-eu") == ["fal"]
    assert CATALOG.siblings("xai") == []
