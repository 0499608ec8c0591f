"""Why the certificate of a server is not trusted, in words that name the remedy."""

import ssl

REMEDY = (
    "if a private authority signed it, set SSL_CERT_FILE in this program's environment to a file "
    "with the authorities to trust"
)


def distrust(error: BaseException | None) -> str | None:
    """Return what is wrong with a certificate, to follow its name; None for any other error.

    Looks through causes too: clients wrap what OpenSSL says.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            words = str(error.verify_message or error.reason).rstrip(".")
            return f"is not trusted ({words})"
        for name in ("os_error", "certificate_error"):  # aiohttp's
            inner = getattr(error, name, None)
            if isinstance(inner, BaseException):
                error = inner
                break
        else:
            error = error.__cause__
    return None
