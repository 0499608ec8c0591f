"""Translation of a PostgreSQL URL with libpq's parameters for the driver.

asyncpg passes unknown parameters to the server as settings, and the server refuses those of libpq.
They are listed at https://www.postgresql.org/docs/current/libpq-connect.html.
"""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from reelhook.domain.errors import SettingsError

SECONDS_MAX = 2_147_483
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = (
    "write % as %25, @ as %40, / as %2F, ? as %3F, # as %23 and : as %3A in its user and password"
)
_ALPN = "postgresql"  # required by PostgreSQL 17 for direct TLS
_WRITING = frozenset({"any", "read-write", "primary"})
_ALREADY_MET: Mapping[str, frozenset[str]] = {
    # Values that only request the usual behaviour.
    "channel_binding": frozenset({"disable", "prefer"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "gssdelegation": frozenset({"0"}),
    "sslcompression": frozenset({"0", "1"}),  # libpq ignores it too
    "sslsni": frozenset({"1"}),
    "sslcertmode": frozenset({"allow"}),
    "load_balance_hosts": frozenset({"disable"}),
    "min_protocol_version": frozenset({"3.0"}),
    "max_protocol_version": frozenset({"3.0", "3.2", "latest"}),
    "client_encoding": frozenset({"auto", "utf8", "utf-8", "UTF8", "UTF-8"}),
}
_REMEDIES: Mapping[str, str] = {
    "gssencmode": "encrypt with TLS instead: sslmode=verify-full",
    "hostaddr": "write the address in place of the host's name",
    "requiressl": "write sslmode=require",
    "ssl": "write sslmode=require, or sslmode=verify-full to check the certificate",
    "sslcrldir": "name one file with sslcrl",
    "schema": "write options=-csearch_path%3DNAME",
    "currentSchema": "write options=-csearch_path%3DNAME",
    "pgbouncer": "remove it; in transaction mode set REELHOOK_WAKE_UPS=false",
}
_UNSUPPORTED = frozenset(
    {
        *_ALREADY_MET,
        *_REMEDIES,
        *("require_auth", "requirepeer", "sslkeylogfile", "replication"),
        *("scram_client_key", "scram_server_key"),
        *("oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"),
    }
)
_VARIABLES: Mapping[str, str] = {
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_KEEPALIVES = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """One URL for each host, and further options for the driver.

    `seconds`: the time limit for connecting to one host; None: not given. `keepalives`: with
    libpq's names and units; None if the URL turns them off.
    """

    urls: tuple[str, ...] = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seconds: float | None = None
    keepalives: Mapping[str, int] | None = field(default_factory=dict)


def read_url(url: str, environment: Mapping[str, str] = os.environ) -> PostgresUrl:
    """Read DATABASE_URL. Raises `SettingsError`, whose message never shows the password.

    Missing parameters are taken from libpq's environment variables. The driver reads the
    remaining variables itself.
    """
    head, mark, query = url.partition("?")
    _check_head(head, query, url)
    parameters = _parameters(query) if mark else {}
    for name, variable in _VARIABLES.items():
        if (text := environment.get(variable)) and name not in parameters:
            parameters[name] = text
    seconds = _number(parameters, "connect_timeout")
    keepalives = {
        name: value
        for name in _KEEPALIVES
        if (value := _number(parameters, name)) is not None and value > 0
    }
    off = parameters.pop("keepalives", "1") == "0"
    context = _tls(parameters)
    _check_attributes(parameters)
    _check_supported(parameters)
    if "fallback_application_name" in parameters:
        fallback = parameters.pop("fallback_application_name")
        parameters.setdefault("application_name", fallback)
    suffix = f"?{urlencode(parameters)}" if parameters else ""
    return PostgresUrl(
        tuple(f"{single}{suffix}" for single in single_urls(head)),
        {} if context is None else {"ssl": context},
        float(seconds) if seconds else None,
        None if off else keepalives,
    )


def single_urls(url: str) -> list[str]:
    """Return a URL for each host of `postgresql://user@one:5432,two:5432/name?option=value`."""
    scheme, _, rest = url.partition("://")
    end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    return [f"{scheme}://{user}{at}{host}{rest[end:]}" for host in hosts.split(",")]


def name_of_host(url: str) -> str | None:
    """Return the host name to resolve; None for an address, a socket or several hosts.

    `url` names one host, like those of `PostgresUrl.urls`.
    """
    head, _, query = url.partition("?")
    host = head.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = unquote(host if host.startswith("[") else host.partition(":")[0])
    host = host or dict(parse_qsl(query)).get("host", "")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host):
        return None
    try:
        ip_address(host)
    except ValueError:
        return host
    return None


def _wrong(problem: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL {' '.join(problem.split())}")


def _check_head(head: str, query: str, url: str) -> None:
    """Refuse unencoded characters that would end the user or the host too early."""
    authority, _, path = head.partition("://")[2].partition("/")
    user, _, hosts = authority.rpartition("@")
    strays = "@" in user or "@" in path or ("@" in query and not user)
    if "#" in url or strays or _BAD_PERCENT.search(head):
        raise _wrong(f"has a character that must be encoded; {_ENCODE}")
    for host in hosts.split(","):
        port = "" if host.endswith("]") else host.rpartition(":")[2] if ":" in host else ""
        if port and not (unquote(port).isdecimal() and 0 < int(unquote(port)) <= 65535):
            raise _wrong(f"has a port that is not a number from 1 to 65535; {_ENCODE}")


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        pairs = None
    if pairs is None or _BAD_PERCENT.search(query):
        raise _wrong("has a parameter that is not written name=value; write % as %25 in a value")
    return {name: value for name, value in pairs if value}


def _number(parameters: dict[str, str], name: str) -> int | None:
    text = parameters.pop(name, None)
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,10}", text) or int(text) > SECONDS_MAX:
        unit = "milliseconds" if name == "tcp_user_timeout" else "seconds"
        unit = "tries" if name == "keepalives_count" else unit
        raise _wrong(f"has {name}={text}, which must be a whole number of {unit}")
    return max(0, int(text))


def _check_attributes(parameters: Mapping[str, str]) -> None:
    wanted = parameters.get("target_session_attrs", "any")
    if wanted not in _WRITING:
        raise _wrong(
            f"has target_session_attrs={wanted}, but reelhook writes; "
            "write read-write or primary, or remove it"
        )


def _check_supported(parameters: dict[str, str]) -> None:
    for name in [key for key in parameters if key in _UNSUPPORTED or key.startswith("oauth_")]:
        if parameters[name] in _ALREADY_MET.get(name, ()):
            del parameters[name]
            continue
        remedy = _REMEDIES.get(name, "remove it")
        raise _wrong(f"has a value of {name} that reelhook does not support; {remedy}")


# -- TLS ------------------------------------------------------------------------------------------


def _tls(parameters: dict[str, str]) -> ssl.SSLContext | None:
    """Return a context if the driver cannot create it: for the system's authorities."""
    _check_files(parameters)
    if parameters.get("channel_binding") == "require":
        _verify_instead(parameters)
    _check_mode(parameters)
    if parameters.get("sslrootcert") != "system":
        return None
    mode = parameters.pop("sslmode", "verify-full")
    if mode != "verify-full":
        raise _wrong(f"has sslrootcert=system with sslmode={mode}; write sslmode=verify-full")
    del parameters["sslrootcert"]
    return _system_context(parameters)


def _check_mode(parameters: Mapping[str, str]) -> None:
    mode = parameters.get("sslmode", "prefer")
    if mode not in _MODES:
        raise _wrong(f"has sslmode={mode}, which must be one of {', '.join(_MODES)}")
    if mode.startswith("verify-") and "sslrootcert" not in parameters:
        try:
            usual = (Path.home() / ".postgresql" / "root.crt").exists()
        except (OSError, RuntimeError):  # there is no home directory, or it cannot be read
            usual = False
        if not usual:
            raise _wrong(
                f"has sslmode={mode}, but names no trusted authorities; write "
                "sslrootcert=/path/to/ca.pem, or sslrootcert=system for this machine's"
            )


def _verify_instead(parameters: dict[str, str]) -> None:
    """Verify the certificate, because the driver does not support channel binding.

    Either prevents a man-in-the-middle attack.
    """
    mode = parameters.get("sslmode", "prefer")
    if mode == "disable":
        raise _wrong("has channel_binding=require with sslmode=disable; remove one of them")
    parameters["channel_binding"] = "prefer"
    if mode not in {"verify-ca", "verify-full"}:
        parameters["sslmode"] = "verify-full"
        parameters.setdefault("sslrootcert", "system")


def _system_context(parameters: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols([_ALPN])
    for name, limit in (("min", "minimum_version"), ("max", "maximum_version")):
        text = parameters.pop(f"ssl_{name}_protocol_version", None)
        if text is not None:
            try:
                setattr(context, limit, ssl.TLSVersion[text.replace(".", "_")])
            except KeyError:
                raise _wrong(f"has ssl_{name}_protocol_version={text}; write TLSv1.2") from None
    certificate, key = parameters.pop("sslcert", None), parameters.pop("sslkey", None)
    password = parameters.pop("sslpassword", "")
    if certificate is not None:
        _load(lambda: context.load_cert_chain(certificate, key, lambda: password), "sslcert")
    if (revoked := parameters.pop("sslcrl", None)) is not None:
        _load(lambda: context.load_verify_locations(revoked), "sslcrl")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


def _check_files(parameters: Mapping[str, str]) -> None:
    for name in _FILES:
        path = parameters.get(name)
        if path is None or (name == "sslrootcert" and path == "system"):
            continue
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _wrong(
                f"has {name}={path}, which can't be read ({error.strerror}); "
                "name a file in PEM form that this user can read"
            ) from None
    if (authorities := parameters.get("sslrootcert")) not in {None, "system"}:
        _load(lambda: ssl.create_default_context(cafile=authorities), "sslrootcert")


def _load(load: Callable[[], object], name: str) -> None:
    try:
        load()
    except (ssl.SSLError, OSError):
        raise _wrong(
            f"has a {name} file that is not a certificate in PEM form, or does not match its key; "
            "name another file"
        ) from None
