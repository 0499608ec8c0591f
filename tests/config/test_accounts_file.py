"""The accounts at providers: of the environment, and of the file."""

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from reelhook.config import Credential, Settings, unknown_variables
from reelhook.config.accounts import AccountsFile
from reelhook.domain.errors import SettingsError
from reelhook.providers.registry import BUILT_IN

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "README.md"
KEYS = {"FAL_KEY_EU": "eu", "FAL_KEY_US": "us", "LITELLM_KEY": "gateway"}


def written(directory: Path, content: str) -> Path:
    path = directory / "accounts.toml"
    path.write_text(content)
    return path


def the_pages_file() -> str:
    [content] = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(content)


# -- the environment ------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [one.name for one in BUILT_IN.values() if not one.self_hosted])
def test_a_key_is_an_account_of_its_provider(provider: str) -> None:
    settings = BUILT_IN[provider].settings
    key, base_url = settings["key"], settings["base_url"]
    [one] = Settings.of(**{key: "a-key"}).credentials
    assert (one.id, one.provider, one.key, one.base_url) == (provider, provider, "a-key", None)
    [one] = Settings.of(**{key: "a-key", base_url: "https://elsewhere.example/v1"}).credentials
    assert one.base_url == "https://elsewhere.example/v1"
    assert Settings.of(**{base_url: "https://elsewhere.example/v1"}).credentials == ()


def test_a_server_of_the_openai_wire_needs_an_address_and_no_key() -> None:
    [one] = Settings.of(openai_base_url="http://gpu:30000").credentials
    assert (one.id, one.key) == ("openai", None)
    assert Settings.of(openai_api_key="a-key").credentials == ()


def test_the_environment_says_how_many_jobs_its_openai_server_may_have() -> None:
    settings = Settings.of(openai_base_url="http://gpu:30000", fal_key="k", openai_jobs_max=3)
    assert {one.id: one.jobs_max for one in settings.credentials} == {"openai": 3, "fal": None}


def test_what_a_server_of_ones_own_has_forgotten_may_be_sent_again() -> None:
    given = {"openai_base_url": "http://gpu:30000", "fal_key": "a-key"}
    assert not any(one.resubmit_forgotten for one in Settings.of(**given).credentials)
    found = Settings.of(**given, openai_resubmit_forgotten=True).credentials
    assert {one.id: one.resubmit_forgotten for one in found} == {"openai": True, "fal": False}


# -- the file -------------------------------------------------------------------------------------


def test_the_pages_file_is_read(tmp_path: Path) -> None:
    read = AccountsFile.read(written(tmp_path, the_pages_file()), KEYS)
    eu, us, gateway = read.credentials
    assert (eu.id, eu.provider, eu.key, eu.weight, eu.jobs_max) == ("fal-eu", "fal", "eu", 2, 10)
    assert (us.key, us.weight, us.jobs_max) == ("us", 1, None)
    assert (gateway.base_url, gateway.headers) == (
        "https://litellm.example.com/v1",
        {"X-Team": "videos"},
    )
    assert read.aliases == {"fast": "fal/fal-ai/veo3/fast", "best": "runway/gen4.5"}


def test_the_pages_table_names_every_key_of_an_account() -> None:
    table = PAGE.read_text().partition("| key | |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert told == set(Credential.model_fields) - {"id"}


def test_an_account_of_the_file_takes_the_place_of_one_of_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, '[accounts.fal]\nprovider = "fal"\nkey = "of the file"\n')
    settings = Settings.of(fal_key="of the environment", xai_api_key="k", accounts_file=path)
    assert {one.id: one.key for one in settings.credentials} == {
        "fal": "of the file",
        "xai": "k",
    }


def test_an_alias_of_the_environment_wins_over_one_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[aliases]\nfast = "xai/a"\nbest = "xai/b"\n')
    settings = Settings.of(accounts_file=path, model_aliases="fast=runway/c")
    assert settings.aliases == {"fast": "runway/c", "best": "xai/b"}


def test_keys_and_headers_are_secrets(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[accounts.one]\nprovider = "xai"\nkey = "hunter2"\nwebhook_secret = "hunter3"\n'
        'headers = {X-Key = "hunter4"}\n',
    )
    settings = Settings.of(accounts_file=path)
    assert {"hunter2", "hunter3", "hunter4"} <= set(settings.secrets)
    assert "hunter" not in repr(settings.credentials)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[accounts", "is not TOML"),
        ('[accounts.one]\nkey = "hunter2"\n', "provider"),
        (
            '[accounts.one]\nprovider = "xai"\nkye = "hunter2"\n',
            "kye is not known here; correct its name",
        ),
        ('[accounts."Not a name"]\nprovider = "xai"\n', "Not a name must be 1 to 64 small"),
        ('[accounts.one]\nprovider = "xai"\nweight = -1\n', "weight"),
        ('[accounts.one]\nprovider = "xai"\njobs_max = 0\n', "jobs_max"),
        ('[accounts.one]\nprovider = "fal"\nresubmit_forgotten = true\n', "others charge"),
        ('[accounts.one]\nprovider = "xai"\nbase_url = "nonsense"\n', "base_url"),
        ('[accounts.one]\nprovider = "xai"\nkey = "hunter2"\nkey_variable = "K"\n', "not both"),
        ('[accounts.one]\nprovider = "xai"\nkey_variable = "UNSET"\n', "UNSET"),
        ("[aliasses]\n", "aliasses"),
        ('[accounts.one]\nprovider = "xai"\nfile_networks = ["10.0.0.1/8"]\n', "file_networks"),
        ('[accounts.one]\nprovider = "xai"\nfile_networks = [10]\n', "file_networks"),
        ('[accounts.one]\nprovider = "xai"\nfile_networks = 10\n', "file_networks"),
        ('[accounts.one]\nprovider = "xai"\nfile_origins = "files:9000"\n', "file_origins"),
        ('[accounts.one]\nprovider = "xai"\nfile_origins = ["http://h/path"]\n', "file_origins"),
        ('[accounts.one]\nprovider = "xai"\nfile_origins = ["http://u:hunter2@h"]\n', "origins"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence_that_names_the_place(
    content: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as raised:
        AccountsFile.read(written(tmp_path, content), {})
    assert says in raised.value.message
    assert "\n" not in raised.value.message
    assert "hunter2" not in raised.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="REELHOOK_ACCOUNTS_FILE"):
        AccountsFile.read(tmp_path / "missing.toml")


# -- where files may lie --------------------------------------------------------------------------


def test_files_may_lie_where_the_file_says(tmp_path: Path) -> None:
    content = (
        '[accounts.gpu]\nprovider = "openai"\nbase_url = "http://gpu:30000/v1"\n'
        'file_networks = ["10.0.0.0/8", "fd00::/8"]\nfile_origins = ["HTTP://Files:9000/"]\n'
        'key_variable = "LITELLM_KEY"\n'
    )
    [one] = AccountsFile.read(written(tmp_path, content), KEYS).credentials
    assert one.file_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert one.file_origins == ("http://files:9000",)


def test_files_may_lie_where_the_environment_says_of_the_account() -> None:
    given = {"file_networks": "openai=10.0.0.0/8,openai=fd00::/8, fal=192.168.0.0/16"}
    settings = Settings.of(
        openai_base_url="http://gpu", fal_key="k", file_origins="fal=http://files:9000", **given
    )
    openai, fal = settings.credentials
    assert openai.file_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert openai.file_origins == ()
    assert fal.file_networks == (ip_network("192.168.0.0/16"),)
    assert fal.file_origins == ("http://files:9000",)


def test_where_there_is_one_account_it_need_not_be_named() -> None:
    [one] = Settings.of(openai_base_url="http://gpu", file_networks="10.0.0.0/8").credentials
    assert one.file_networks == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"file_networks": "10.0.0.0/8"}, "REELHOOK_FILE_NETWORKS: .* like openai=10.0.0.0/8"),
        ({"file_origins": "http://f"}, "REELHOOK_FILE_ORIGINS: .* like openai=http://f"),
        ({"file_networks": "gpu=10.0.0.0/8"}, "gpu is not an account of the environment"),
        ({"file_networks": "openai=10.0.0.1/8"}, "REELHOOK_FILE_NETWORKS"),
        ({"file_origins": "openai=files:9000"}, "REELHOOK_FILE_ORIGINS"),
    ],
)
def test_what_the_environment_says_wrongly_of_files_is_told(
    given: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        _ = Settings.of(openai_base_url="http://gpu", fal_key="k", **given).credentials


# -- misspelt variables ---------------------------------------------------------------------------


def test_no_setting_is_unknown() -> None:
    page = (PAGE.parents[1] / "settings.md").read_text()
    names = re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE)
    assert unknown_variables(None, dict.fromkeys(names, "1")) == {}


def test_a_misspelt_variable_is_known_by_its_prefix_in_both_places(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("REELHOOK_KEEP_JOB_DAYS=3\nPORT=1\nOTHER=2\n")
    assert unknown_variables(file, {"REELHOOK_ZZZ": "", "PATH": ""}) == {
        "REELHOOK_KEEP_JOB_DAYS": "REELHOOK_KEEP_JOBS_DAYS",
        "REELHOOK_ZZZ": None,
    }
    assert unknown_variables(tmp_path / "missing", {}) == {}
