"""Why the certificate of a server is not trusted, in words that name the remedy."""

from collections.abc import Iterator

BY_ENVIRONMENT = (
    "if a private authority signed it, set SSL_CERT_FILE in the environment to a file with that "
    "authority's certificate"
)


def distrust(error: BaseException | None, authority: str = BY_ENVIRONMENT) -> str | None:
    """Return what is wrong with a certificate and what to do; None for any other error.

    `authority`: how an authority is made known. The words follow "the certificate".
    """
    # aiohttp's own error is of the same kind as OpenSSL's, but without the words.
    told = (getattr(one, "verify_message", None) for one in _causes(error))
    words = str(next(filter(None, told), "")).rstrip(".")
    if not words:
        return None
    remedy = authority
    if "expired" in words or "not yet valid" in words:
        remedy = "renew it at the server, or set this machine's clock"
    elif "not valid for" in words:
        remedy = "use a name that it was made for"
    return f"is not trusted ({words}); {remedy}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it comes from: clients wrap what OpenSSL says."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        of_aiohttp = (getattr(error, name, None) for name in ("os_error", "certificate_error"))
        inner = next((one for one in of_aiohttp if isinstance(one, BaseException)), None)
        error = inner or error.__cause__
