"""The base URL of a provider, the paths below it, and the header that carries the key."""

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
        port_is_valid = url.port is None or 0 < url.port < 65536
    except ValueError:
        raise SettingsError(f"{text!r} is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or not port_is_valid:
        raise SettingsError(f"{text!r} is not a provider's base URL; write it like https://host/v1")
    if url.user is not None or url.password is not None:
        raise SettingsError(
            "A provider's base URL must not contain a user or a password; set the API key instead"
        )
    if url.raw_query_string or url.raw_fragment:
        raise SettingsError(f"{text!r}: a provider's base URL ends with its path; drop `?` and `#`")
    path = url.raw_path.rstrip("/") or default_path
    return url.with_path(path, encoded=True)


def segment(text: str) -> str:
    """Return an id, quoted as one path segment, so that it cannot lead to another path.

    Raises `ProviderError` for an id such as `..`, which no quoting makes safe.
    """
    if readable_id(text) is None:
        raise ProviderError(f"{text!r} is not a valid id: it can't be a segment of a path")
    return quote(text, safe="", errors="replace")


def bearer(api_key: str | None) -> dict[str, str]:
    """Return the headers with the key as a bearer token; see `authorization_header`."""
    return authorization_header(api_key, "Bearer")


def key_header(api_key: str | None) -> dict[str, str]:
    """Return the headers with the key in the scheme `Key`; see `authorization_header`."""
    return authorization_header(api_key, "Key")


def authorization_header(api_key: str | None, scheme: str) -> dict[str, str]:
    """Return the `Authorization` header for the key; no header without a key.

    Raises `SettingsError` for a key that no header can carry. So a bad key is found at the start,
    and not during a paid request.
    """
    key = (api_key or "").strip()
    if not key:
        return {}
    if not key.isascii() or not key.isprintable():
        raise SettingsError("The provider's API key has characters that no HTTP header can carry")
    return {"Authorization": f"{scheme} {key}"}
