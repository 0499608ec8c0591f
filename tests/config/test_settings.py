import math
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reelhook.config import Settings, environment_name
from reelhook.domain.encryption import key_text
from reelhook.domain.errors import SettingsError
from reelhook.domain.schedule import RetrySchedule
from reelhook.domain.signing_keys import private_text

NEW_KEY, OLD_KEY = private_text(b"n" * 32), private_text(b"o" * 32)
SIMULATED = {"openai_base_url": "http://127.0.0.1:9000/v1"}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("WEBHOOK_SECRET", " s p a c e ", "webhook_secret", " s p a c e "),
        ("REELHOOK_WEBHOOK_SECRET_PREVIOUS", "old", "webhook_secret_previous", "old"),
        ("REELHOOK_WEBHOOK_PRIVATE_KEY", f"{NEW_KEY}\n", "webhook_private_key", (NEW_KEY,)),
        (
            "REELHOOK_WEBHOOK_PRIVATE_KEY",
            f"{NEW_KEY}, {OLD_KEY},",
            "webhook_private_key",
            (NEW_KEY, OLD_KEY),
        ),
        (
            "REELHOOK_ENCRYPTION_KEYS",
            f"{key_text(bytes(range(32)))}, {key_text(bytes(32))}\n",
            "encryption_keys",
            (key_text(bytes(range(32))), key_text(bytes(32))),
        ),
        ("WEBHOOK_URL", "https://a.example/hook?x=1", "webhook_url", "https://a.example/hook?x=1"),
        ("OPENAI_API_KEY", " sk-abc\n", "openai_api_key", "sk-abc"),
        ("OPENAI_BASE_URL", "http://gpu:30000/v1/", "openai_base_url", "http://gpu:30000/v1"),
        ("VERBOSE_LOGGING", "true", "verbose_logging", True),
        ("VERBOSE_LOGGING", "0", "verbose_logging", False),
        ("PORT", "8080", "port", 8080),
        ("REELHOOK_HOST", "[::1]", "host", "::1"),
        ("REELHOOK_HOST", "LocalHost", "host", "localhost"),
        ("REELHOOK_DATA_DIR", "/var/lib/reelhook", "data_dir", Path("/var/lib/reelhook")),
        ("REELHOOK_POLL_SECONDS", "0.05", "poll_seconds", 0.05),
        ("REELHOOK_MAX_AGE_HOURS", "0.5", "max_age_hours", 0.5),
        ("REELHOOK_RETRY_SCHEDULE", "1s,2m", "retry_schedule", RetrySchedule((1.0, 120.0))),
        ("REELHOOK_ENDPOINT_CONCURRENCY", "25", "endpoint_concurrency", 25),
        ("REELHOOK_SECRET_OVERLAP_HOURS", "0.5", "secret_overlap_hours", 0.5),
        (
            "REELHOOK_ALLOW_NETWORKS",
            "127.0.0.1/32, fd00::/8,",
            "allow_networks",
            (ip_network("127.0.0.1/32"), ip_network("fd00::/8")),
        ),
        (
            "REELHOOK_FILE_NETWORKS",
            "openai=10.0.0.0/8,fd00::/8",
            "file_networks",
            (("openai", ip_network("10.0.0.0/8")), (None, ip_network("fd00::/8"))),
        ),
        (
            "REELHOOK_FILE_ORIGINS",
            "fal = http://files:9000/",
            "file_origins",
            (("fal", "http://files:9000"),),
        ),
        ("REELHOOK_SUBMIT_SETTLE_SECONDS", "0", "submit_settle_seconds", 0.0),
        ("REELHOOK_SUBMIT_TIMEOUT_SECONDS", "10", "submit_timeout_seconds", 10.0),
        ("REELHOOK_PUBLIC_URL", "https://v.example/", "public_url", "https://v.example"),
        ("REELHOOK_API_KEY", "k", "api_key", "k"),
        ("REELHOOK_ALLOWED_HOSTS", "App, v.example", "allowed_hosts", ("app", "v.example")),
        ("REELHOOK_DEFAULT_MODEL", "wan2.2", "default_model", "wan2.2"),
        ("OPENAI_JOBS_MAX", "3", "openai_jobs_max", 3),
        ("REELHOOK_URL", "https://v.example:444/x", "url", "https://v.example:444/x"),
    ],
)
def test_the_environment_sets_a_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(Settings.load(), field) == value


def test_flags_win_over_the_environment_and_that_over_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "PORT=1111\nREELHOOK_HOST=127.0.0.2\nREELHOOK_DATA_DIR='from file'\nSOMETHING_ELSE=1\n"
    )
    monkeypatch.setenv("PORT", "2222")
    monkeypatch.setenv("REELHOOK_HOST", "127.0.0.3")
    settings = Settings.load(port=3333, host=None)
    assert (settings.port, settings.host) == (3333, "127.0.0.3")
    assert settings.data_dir == Path("from file")


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_blank_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    expected = Settings.load()
    for blank in ("", "  "):
        monkeypatch.setenv(environment_name(field), blank)
        assert Settings.load() == expected


@pytest.mark.parametrize("name", ["HOST", "URL", "API_KEY", "DATA_DIR", "REELHOOK_PORT", "port"])
def test_variables_of_other_programs_are_not_read(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    assert Settings.load().model_dump() == Settings.of().model_dump()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("OPENAI_JOBS_MAX", "0"),
        ("OPENAI_JOBS_MAX", "many"),
        ("REELHOOK_POLL_SECONDS", "0.049"),
        ("REELHOOK_POLL_SECONDS", "nan"),
        ("REELHOOK_MAX_AGE_HOURS", "0"),
        ("REELHOOK_MAX_AGE_HOURS", "1e308"),
        ("REELHOOK_SUBMIT_SETTLE_SECONDS", "-1"),
        ("REELHOOK_SUBMIT_TIMEOUT_SECONDS", "0"),
        ("REELHOOK_RETRY_SCHEDULE", "5s, soon"),
        ("REELHOOK_RETRY_SCHEDULE", "5s,400d"),
        ("REELHOOK_RETRY_SCHEDULE", "9" * 400),
        ("REELHOOK_ENDPOINT_CONCURRENCY", "0"),
        ("REELHOOK_ENDPOINT_CONCURRENCY", "26"),
        ("REELHOOK_SECRET_OVERLAP_HOURS", "-1"),
        ("REELHOOK_SECRET_OVERLAP_HOURS", "721"),
        ("REELHOOK_ALLOW_NETWORKS", "10.0.0.1/8"),
        ("REELHOOK_ALLOW_NETWORKS", "localhost"),
        ("REELHOOK_TRUSTED_PROXIES", "proxy.internal"),
        ("REELHOOK_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("REELHOOK_ALLOWED_HOSTS", "https://v.example"),
        ("REELHOOK_ALLOWED_HOSTS", "*"),
        ("REELHOOK_HOST", "127.0.0.1:80"),
        ("REELHOOK_PUBLIC_URL", "v.example"),
        ("REELHOOK_PUBLIC_URL", "https://v.example/?a"),
        ("REELHOOK_URL", "http://"),
        ("REELHOOK_URL", "http://a:99999"),
        ("OPENAI_BASE_URL", "gpu:30000"),
        ("OPENAI_BASE_URL", "http://[::1"),
        ("OPENAI_BASE_URL", "http://gpu/v1#x"),
        ("WEBHOOK_URL", "ftp://a.example"),
        ("WEBHOOK_URL", "https://a.example/a b"),
        ("VERBOSE_LOGGING", "loud"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("REELHOOK_DEFAULT_MODEL", "m" * 201),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert variable in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("WEBHOOK_SECRET", "whsec_hunter2!"),
        ("WEBHOOK_SECRET", "whsec_hünter2"),
        ("WEBHOOK_SECRET", "whsec_"),
        ("REELHOOK_WEBHOOK_SECRET_PREVIOUS", "whsec_hunter2!"),
        ("REELHOOK_WEBHOOK_SECRET_PREVIOUS", "whpk_hunter2"),
        ("REELHOOK_WEBHOOK_PRIVATE_KEY", "whsk_hunter2"),
        ("REELHOOK_WEBHOOK_PRIVATE_KEY", "hunter2hünter2"),
        ("REELHOOK_WEBHOOK_PRIVATE_KEY", f"{NEW_KEY},whsk_hunter2"),
        ("OPENAI_API_KEY", "hunter2\u2026"),
        ("REELHOOK_API_KEY", "hunter2\x1b"),
        ("OPENAI_BASE_URL", "https://me:hunter2@gpu/v1"),
        ("WEBHOOK_URL", "https://me:hunter2@a.example/hook"),
        ("DATABASE_URL", "mysql://me:hunter2@db/reelhook"),
    ],
)
def test_no_error_repeats_a_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert variable in caught.value.message
    assert "hunter2" not in str(caught.value)
    assert "hünter2" not in str(caught.value)


def test_no_secret_shows_when_settings_are_printed() -> None:
    settings = Settings.of(
        webhook_secret="hunter2-a",
        webhook_secret_previous="hunter2-b",
        webhook_private_key=f"{NEW_KEY}, {OLD_KEY}",
        encryption_keys=f"{key_text(bytes(32))}",
        openai_api_key="hunter2-c",
        api_key="hunter2-d",
        webhook_url="https://a.example/hook?token=hunter2-e",
    )
    shown = f"{settings!r} {settings}"
    assert "hunter2" not in shown
    assert "whsk_" not in shown
    assert "rhek_" not in shown
    keys = {NEW_KEY, OLD_KEY, key_text(bytes(32))}
    assert keys < set(settings.secrets)
    assert {secret[-1] for secret in settings.secrets if secret not in keys} == set("abcd")


def test_a_validation_error_of_pydantic_hides_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, webhook_secret=["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError):
        Settings.of().port = 1  # type: ignore[misc]  # on purpose


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(SettingsError, match="prot is not a setting"):
        Settings.load(prot=1)


def test_an_unreadable_dotenv_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env can't be read"):
        Settings.load()


def test_settings_of_given_values_ignore_all_around_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("REELHOOK_HOST=127.0.0.2")
    monkeypatch.setenv("PORT", "nonsense")
    settings = Settings.of(poll_seconds=1)
    assert (settings.host, settings.port, settings.poll_seconds) == ("127.0.0.1", 3001, 1)


@given(st.sampled_from(["PORT", "REELHOOK_POLL_SECONDS", "REELHOOK_RETRY_SCHEDULE"]), st.text())
def test_any_text_is_either_a_value_or_a_sentence(variable: str, text: str) -> None:
    field = variable.removeprefix("REELHOOK_").lower()
    try:
        Settings.of(**{field: text})
    except SettingsError as error:
        assert variable in error.message  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", "http://127.0.0.1:99"),  # noqa: S104 - nothing listens
        ("::", "http://[::1]:99"),
        ("::1", "http://[::1]:99"),
        ("10.1.2.3", "http://10.1.2.3:99"),
    ],
)
def test_the_public_url_follows_host_and_port(host: str, expected: str) -> None:
    assert Settings.of(host=host, port=99).public_url == expected
    settings = Settings.of(host=host, port=0).listening_on(99)
    assert (settings.public_url, settings.port) == (expected, 99)
    assert "public_url" not in settings.model_fields_set


def test_a_given_public_url_stays_whatever_the_port() -> None:
    settings = Settings.of(public_url="https://v.example", port=0).listening_on(99)
    assert (settings.port, settings.public_url) == (99, "https://v.example")


def test_the_command_line_talks_to_this_machine_by_default() -> None:
    assert Settings.of(port=99, host="10.1.2.3").url == "http://127.0.0.1:99"


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, "reelhook-data/reelhook.db"),
        ({"data_dir": "/srv/x"}, "/srv/x/reelhook.db"),
        ({"database_url": "sqlite:///here.db"}, "here.db"),
        ({"database_url": "sqlite:////srv/there.db", "data_dir": "/srv/x"}, "/srv/there.db"),
    ],
)
def test_the_database_is_where_the_settings_say(values: dict[str, str], path: str) -> None:
    assert Settings.of(**values).database == Path(path)


def test_serving_needs_a_provider_or_the_simulator() -> None:
    with pytest.raises(SettingsError, match=r"--simulate.*OPENAI_BASE_URL.*2026-09-24"):
        Settings.of().check_for_server(simulate=False)
    Settings.of().check_for_server(simulate=True)
    Settings.of(**SIMULATED).check_for_server(simulate=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway"])  # noqa: S104 - nothing listens
def test_serving_others_needs_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match=r"REELHOOK_API_KEY.*`reelhook keys create`"):
        Settings.of(host=host, **SIMULATED).check_exposure(has_key=False)
    Settings.of(host=host, **SIMULATED).check_exposure(has_key=True)
    Settings.of(host=host, api_key="k", **SIMULATED).check_exposure(has_key=False)


@pytest.mark.parametrize("host", ["video.example", "10.1.2.3", "[2001:db8::1]", "localhost.evil"])
def test_so_does_a_public_url_that_others_can_reach(host: str) -> None:
    where: Any = {**SIMULATED, "public_url": f"https://{host}/reel"}
    with pytest.raises(SettingsError, match=r"REELHOOK_PUBLIC_URL.*REELHOOK_API_KEY"):
        Settings.of(**where).check_exposure(has_key=False)
    Settings.of(**where).check_exposure(has_key=True)
    Settings.of(**where, api_key="k").check_exposure(has_key=False)


@pytest.mark.parametrize("host", ["127.0.0.1:99", "[::1]:99", "LocalHost", "video.localhost"])
def test_a_public_url_of_this_machine_needs_none(host: str) -> None:
    Settings.of(public_url=f"http://{host}").check_exposure(has_key=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    Settings.of(host=host).check_exposure(has_key=False)


def test_the_origins_of_web_pages_are_single_ones() -> None:
    chosen = Settings.of(cors_origins="https://App.example.com, http://localhost:5173/")
    assert chosen.cors_origins == ("https://app.example.com", "http://localhost:5173")
    assert Settings.of().cors_origins == ()
    for wrong in ("*", "https://*.example.com", "app.example.com", "https://app.example/path"):
        with pytest.raises(SettingsError, match=r"REELHOOK_CORS_ORIGINS.*https://"):
            Settings.of(cors_origins=wrong)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("reelhook", ["typer", "rich", "aiohttp", "fastapi", "sqlalchemy", "pydantic"]),
        ("reelhook.config", ["typer", "rich", "aiohttp", "fastapi", "sqlalchemy", "structlog"]),
        ("reelhook.cli.app", ["aiohttp", "fastapi", "sqlalchemy", "uvicorn", "av", "PIL"]),
    ],
)
def test_importing_loads_no_more_than_it_needs(module: str, absent: list[str]) -> None:
    program = f"import sys, {module}; print(sorted(set({absent!r}) & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


# -- retention -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "days"), [("1", 1.0), ("30.5", 30.5), ("forever", math.inf), (" Forever ", math.inf)]
)
def test_records_are_kept_for_days_or_forever(text: str, days: float) -> None:
    assert Settings.of(keep_jobs_days=text).keep_jobs_days == days


@pytest.mark.parametrize("text", ["0", "0.5", "-1", "nan", "36501", "a week"])
def test_records_are_kept_for_a_day_at_least(text: str) -> None:
    with pytest.raises(SettingsError, match=r"REELHOOK_KEEP_ATTEMPTS_DAYS must be .* or forever"):
        Settings.of(keep_attempts_days=text)


@pytest.mark.parametrize(
    ("network", "advice"),
    [
        ("10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1/32 for that address alone"),
        ("all", "write networks like 10.0.0.0/8,127.0.0.1/32"),
    ],
)
def test_a_text_that_is_no_network_gets_advice(network: str, advice: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.of(allow_networks=network)
    assert advice in raised.value.message
