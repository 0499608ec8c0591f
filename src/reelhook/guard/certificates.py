"""Messages about certificates that are not trusted, with the remedy."""

from collections.abc import Iterator

BY_ENVIRONMENT = (
    "if a private authority signed it, set SSL_CERT_FILE in the environment to a file with that "
    "authority's certificate"
)


def distrust(error: BaseException | None, authority: str = BY_ENVIRONMENT) -> str | None:
    """Return why a certificate is not trusted, and the remedy; None for any other error.

    The text continues a sentence that begins with "the certificate". `authority` says how to make
    an authority trusted.
    """
    # aiohttp's error has the type of OpenSSL's, but lacks its message.
    messages = (getattr(cause, "verify_message", None) for cause in _causes(error))
    message = str(next(filter(None, messages), "")).rstrip(".")
    if not message:
        return None
    remedy = authority
    if "expired" in message or "not yet valid" in message:
        remedy = "renew it at the server, or correct this machine's clock"
    elif "not valid for" in message:
        remedy = "use a name that the certificate covers"
    return f"is not trusted ({message}); {remedy}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, since clients wrap the errors of OpenSSL."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        of_aiohttp = (getattr(error, name, None) for name in ("os_error", "certificate_error"))
        inner = next((cause for cause in of_aiohttp if isinstance(cause, BaseException)), None)
        error = inner or error.__cause__
