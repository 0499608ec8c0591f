"""Prices and rates in the accounts file."""

import re
from pathlib import Path

import pytest

from reelhook.bootstrap.accounts import open_accounts
from reelhook.config import Settings
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import SettingsError
from reelhook.domain.price import Price
from reelhook.domain.pricing import estimate_on
from reelhook.domain.request import VideoRequest

PAGE = Path(__file__).parents[2] / "docs" / "projects.md"
ACCOUNTS = """
[accounts.fal-eu]
provider = "fal"
key = "eu"

[accounts.fal-us]
provider = "fal"
key = "us"
"""


async def catalog(directory: Path, content: str) -> Catalog:
    path = directory / "accounts.toml"
    path.write_text(content)
    settings = Settings.of(
        accounts_file=path, runwayml_api_secret="a-key", openai_base_url="http://gpu:30000"
    )
    async with open_accounts(settings) as accounts:
        return accounts.catalog


def price(one: Catalog, model: str, **fields: object) -> Price | None:
    request = VideoRequest("A fox", **fields)  # type: ignore[arg-type]  # fields of any test
    return estimate_on(one.choose(model), request)


async def test_a_price_of_the_file_replaces_the_built_in_one(tmp_path: Path) -> None:
    found = await catalog(tmp_path, '[prices."runway/gen4.5"]\nper_second = 0.2\n' + ACCOUNTS)
    assert price(found, "runway/gen4.5", seconds="5") == Price(1, "USD")
    assert price(found, "runway/gen4_turbo", seconds="5") == Price(0.25, "USD")


async def test_a_price_of_the_file_keeps_the_provider_s_defaults(tmp_path: Path) -> None:
    found = await catalog(tmp_path, '[prices."fal/fal-ai/veo2"]\nper_second = 0.4\n' + ACCOUNTS)
    assert price(found, "fal/fal-ai/veo2") == Price(2, "USD")


@pytest.mark.parametrize(
    "options",
    [{"seconds": "60"}, {"duration": 1, "seconds": "60"}, {"num_frames": 999}, {"size": "4k"}],
    ids=str,
)
async def test_no_option_lowers_the_price_where_its_name_is_not_declared(
    options: dict[str, object], tmp_path: Path
) -> None:
    table = '[prices."openai/sora-2"]\nper_second = 0.1\ndefaults = {seconds = 4}\n'
    found = await catalog(tmp_path, table + ACCOUNTS)
    assert price(found, "openai/sora-2", options={"guidance": 3}) == Price(0.4, "USD")
    assert price(found, "openai/sora-2", options=options) is None


async def test_a_price_may_depend_on_the_request(tmp_path: Path) -> None:
    content = """
[prices."runway/kling_4"]
unit = "credits"
lines = [
    { per_second = 10, resolution = "720P" },
    { per_second = 20, resolution = "1080p", audio = true },
    { per_second = 16, resolution = "1080p", audio = false },
    { per_video = 7, seconds = 1 },
]
minimum = 30
defaults = { seconds = 5, audio = true }
"""
    found = await catalog(tmp_path, content + ACCOUNTS)
    assert price(found, "runway/kling_4", size="1280x720") == Price(0.5, "USD")
    assert price(found, "runway/kling_4", size="1920x1080") == Price(1, "USD")
    silent = {"audio": False}
    assert price(found, "runway/kling_4", size="1920x1080", options=silent) == Price(0.8, "USD")


async def test_an_account_may_have_prices_of_its_own(tmp_path: Path) -> None:
    content = ACCOUNTS + '[accounts.fal-us.prices."fal-ai/veo2"]\nper_video = 1.5\n'
    found = await catalog(tmp_path, content)
    assert price(found, "fal-us/fal-ai/veo2") == Price(1.5, "USD")
    assert price(found, "fal-eu/fal-ai/veo2") == Price(2.5, "USD")
    # Either account may get the job, so the dearer price counts.
    assert price(found, "fal/fal-ai/veo2") == Price(2.5, "USD")


async def test_a_price_for_any_other_model(tmp_path: Path) -> None:
    found = await catalog(tmp_path, '[prices."openai/*"]\nper_video = 0\n' + ACCOUNTS)
    assert price(found, "openai/Wan-AI/Wan2.2") == Price(0, "USD")
    assert price(found, "openai/another") == Price(0, "USD")
    assert price(found, "") == Price(0, "USD")
    assert price(found, "fal/fal-ai/unknown") is None


async def test_a_rate_gives_a_unit_a_price_in_a_currency(tmp_path: Path) -> None:
    content = "rates = { credits = 0.02, tokens = { amount = 0.5, currency = 'EUR' } }\n"
    found = await catalog(tmp_path, content + ACCOUNTS)
    assert price(found, "runway/gen4.5", seconds="5") == Price(1.2, "USD")
    charged = Price(10, "tokens")
    assert found.in_currency(charged, "runway", "a model that no one knows") == Price(5, "EUR")
    assert found.in_currency(Price(10, "units"), "runway", "gen4.5") == Price(10, "units")
    assert found.in_currency(charged, "an account that was removed", "m") == charged


async def test_the_file_of_the_page_says_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY_EU", "eu")
    [content] = re.findall(
        r"^```toml\n(\[rates\].*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    found = await catalog(tmp_path, str(content))
    assert price(found, "runway/gen4.5", seconds="5") == Price(0.48, "USD")
    assert price(found, "runway/kling_4", size="1280x720") == Price(0.4, "USD")
    assert price(found, "runway/kling_4", size="1920x1080") == Price(0.8, "USD")
    assert price(found, "openai/any") == Price(0.02, "USD")
    assert price(found, "fal/fal-ai/veo2") == Price(2, "USD")
    assert found.in_currency(Price(2, "units"), "fal-eu", "any") == Price(0.1, "USD")
    assert found.in_currency(Price(10, "CNY"), "fal-eu", "any") == Price(1.4, "USD")


async def test_a_rate_of_an_account_wins(tmp_path: Path) -> None:
    content = "rates = { units = 0.02 }\n" + ACCOUNTS + "[accounts.fal-us.rates]\nunits = 0.5\n"
    found = await catalog(tmp_path, content)
    assert found.in_currency(Price(2, "units"), "fal-us", "m") == Price(1, "USD")
    assert found.in_currency(Price(2, "units"), "fal-eu", "m") == Price(0.04, "USD")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('[prices."runway/x"]\nper_second = -1', "prices.runway/x.per_second"),
        ('[prices."runway/x"]\nper_second = nan', "prices.runway/x.per_second"),
        ('[prices."runway/x"]\nper_second = "1"', "prices.runway/x.per_second"),
        ('[prices."runway/x"]\nper_second = true', "prices.runway/x.per_second"),
        ('[prices."runway/x"]\nper_hour = 1', "prices.runway/x.per_hour"),
        ('[prices."runway/x"]\nunit = "$"\nper_second = 1', "prices.runway/x.unit"),
        ('[prices."runway/x"]\nunit = "jobs"\nper_second = 1', "'jobs' counts jobs in budgets"),
        ('[prices."runway/x"]', "give one of per_second, per_video and lines"),
        ('[prices."runway/x"]\nper_second = 1\nper_video = 1', "give one of"),
        ('[prices."runway/x"]\nlines = [{seconds = 1}]', "give per_second or per_video"),
        ('[prices."runway/x"]\nper_second = 1\ndefaults = {seconds = 0}', "defaults.seconds"),
        ('[prices."runwy/x"]\nper_second = 1', "prices.runwy/x names no model of a provider"),
        ('[prices."runway"]\nper_second = 1', "prices.runway names no model of a provider"),
        ("[rates]\ncredits = 0", "rates.credits"),
        ("[rates]\ncredits = inf", "rates.credits"),
        ('[rates]\ncredits = "0.01"', "rates.credits"),
        ('[rates]\ncredits = {amount = 1, currency = "usd"}', "rates.credits.currency"),
        ('[rates]\n"a b" = 1', "rates.a b"),
    ],
)
async def test_a_bad_price_stops_the_start_with_one_sentence(
    content: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)) as refused:
        await catalog(tmp_path, content)
    assert "REELHOOK_ACCOUNTS_FILE" in str(refused.value)
    assert "\n" not in str(refused.value)
