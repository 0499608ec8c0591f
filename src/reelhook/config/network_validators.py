"""Checks of networks, origins and host names; see `config.validators`."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from reelhook.config.validators import parts, setting_name
from reelhook.domain.errors import SettingsError

_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")


def _network(part: Any, name: str) -> IPv4Network | IPv6Network:
    if isinstance(part, IPv4Network | IPv6Network):
        return part
    try:
        return ip_network(str(part))  # an int would be read as an address
    except ValueError:
        raise SettingsError(f"{name}: {part!r} is not a network; {_meant(str(part))}") from None


def _meant(text: str) -> str:
    """Return the advice for a text that is no network, such as 10.0.0.1/8."""
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        return "write networks like 10.0.0.0/8,127.0.0.1/32"
    return (
        f"write {whole}, or {text.partition('/')[0]}/{whole.max_prefixlen} for that address alone"
    )


def _networks(value: Any, info: ValidationInfo) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(_network(part, setting_name(info)) for part in parts(value))


def _origin(part: Any, name: str) -> str:
    try:
        split = urlsplit(str(part).strip().lower())
        valid = split.scheme in {"http", "https"} and split.hostname and split.port != 0
    except ValueError:
        valid = False
    if not valid or "@" in split.netloc or split.path not in {"", "/"} or split.query:
        # The text may contain a password, so no message repeats it.
        raise SettingsError(
            f"{name} is not a list of origins; write them like "
            "http://files.internal:9000,https://cdn.example.com, without a path"
        )
    return f"{split.scheme}://{split.netloc}"


def _origins(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    return tuple(_origin(part, setting_name(info)) for part in parts(value))


def _cors_origins(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    if isinstance(value, str) and "*" in value:
        raise SettingsError(
            f"{setting_name(info)} names single origins only; write them like https://app.example.com"
        )
    return tuple(_origin(part, setting_name(info)) for part in parts(value))


def _of_account(part: Any) -> tuple[str | None, Any]:
    """Split `openai=10.0.0.0/8` into the account, which may be missing, and the value."""
    if not isinstance(part, str):
        account, text = part
        return account, text
    account, sign, text = (piece.strip() for piece in part.partition("="))
    return (account, text) if sign else (None, account)


def _account_networks(value: Any, info: ValidationInfo) -> tuple[tuple[str | None, Any], ...]:
    pairs = map(_of_account, parts(value))
    return tuple((account, _network(text, setting_name(info))) for account, text in pairs)


def _account_origins(value: Any, info: ValidationInfo) -> tuple[tuple[str | None, str], ...]:
    pairs = map(_of_account, parts(value))
    return tuple((account, _origin(text, setting_name(info))) for account, text in pairs)


def _host(text: str) -> str | None:
    name = text.strip().lower().removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(name))
    except ValueError:
        return name if _HOST_NAME.fullmatch(name) else None


def _bind_host(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    host = _host(value)
    if host is None:
        raise SettingsError(
            f"{setting_name(info)}: {value!r} is not a host; "
            "write an address or a name, without a port"
        )
    return host


def _host_names(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    hosts = []
    for part in parts(value):
        host = _host(part)
        if host is None:
            raise SettingsError(
                f"{setting_name(info)}: {part!r} is not a host name; "
                "write names without scheme and port, like video.example.com,gateway"
            )
        hosts.append(host)
    return tuple(hosts)


Network = IPv4Network | IPv6Network
Host = Annotated[str, BeforeValidator(_bind_host)]
HostNames = Annotated[tuple[str, ...], BeforeValidator(_host_names)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
CorsOrigins = Annotated[tuple[str, ...], BeforeValidator(_cors_origins)]
AccountNetworks = Annotated[
    tuple[tuple[str | None, Network], ...], BeforeValidator(_account_networks)
]
AccountOrigins = Annotated[tuple[tuple[str | None, str], ...], BeforeValidator(_account_origins)]
