"""Where a provider lives, and with which key it is asked."""

from urllib.parse import quote

from yarl import URL

from reelhook.domain.errors import ProviderError, SettingsError
from reelhook.providers.http.json_fields import readable_id


def base_url(text: str, *, default_path: str = "") -> URL:
    """Return the provider's base URL without a trailing slash; an empty path gets `default_path`.

    Raises `SettingsError`.
    """
    try:
        url = URL(text.strip())
        port_is_right = url.port is None or 0 < url.port < 65536
    except ValueError:
        raise SettingsError(f"{text!r} is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or not port_is_right:
        raise SettingsError(f"{text!r} is not a provider's base URL; write https://host/v1")
    if url.user is not None or url.password is not None:
        raise SettingsError("A provider's base URL carries no user or password; set the API key")
    if url.raw_query_string or url.raw_fragment:
        raise SettingsError(f"{text!r}: a provider's base URL ends with its path; drop `?` and `#`")
    path = url.raw_path.rstrip("/") or default_path
    return url.with_path(path, encoded=True)


def segment(text: str) -> str:
    """Return an id as one segment of a path, so that it leads nowhere else.

    Raises `ProviderError` for what can't be one however it is quoted, such as `..`.
    """
    if readable_id(text) is None:
        raise ProviderError(f"{text!r} can't be an id: no path has such a segment")
    return quote(text, safe="", errors="replace")


def bearer(api_key: str | None) -> dict[str, str]:
    """Return the headers that show the key as most providers want it; see `shown`."""
    return shown(api_key, "Bearer")


def key_header(api_key: str | None) -> dict[str, str]:
    """Return the headers that show the key in the scheme `Key`; see `shown`."""
    return shown(api_key, "Key")


def shown(api_key: str | None, scheme: str) -> dict[str, str]:
    """Return the headers that show the key; none without a key.

    Raises `SettingsError` for a key that no header can carry: found at the start, not while
    paying.
    """
    key = (api_key or "").strip()
    if not key:
        return {}
    if not key.isascii() or not key.isprintable():
        raise SettingsError("The provider's API key has characters that no HTTP header can carry")
    return {"Authorization": f"{scheme} {key}"}
