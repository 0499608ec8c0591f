"""Ids: a prefix, the time and random bits. They sort by age and index well."""

from random import Random

from reelhook.domain.event import Instant

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_id(prefix: str, now: Instant, random: Random) -> str:
    """Return an id: a prefix and the time, like `job_01kc3v9q2f`, and 80 random bits."""
    return f"{prefix}_{_base32(now, 10)}{_base32(random.getrandbits(80), 16)}"
