"""Money: whole numbers of millionths of a currency or of a provider's own unit."""

import re
from dataclasses import dataclass

from reelhook.domain.price import Price

MILLION = 1_000_000
AMOUNT_MAX = 1_000_000_000
"""The highest amount of a limit, in whole units: sums of it fit into 64 bits."""
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in millionths of `unit`, so that sums are exact."""

    amount: int
    unit: str

    @classmethod
    def of(cls, price: Price) -> "Money":
        """Return a price, rounded to a millionth."""
        amount = min(max(price.amount, 0.0), float(AMOUNT_MAX))
        return cls(round(amount * MILLION), price.unit)


def whole(amount: int) -> float | int:
    """Return millionths as an amount: a whole number if it is one."""
    number, rest = divmod(amount, MILLION)
    return amount / MILLION if rest else number


def is_currency(unit: str) -> bool:
    """Return True if a unit has the form of a currency's code (ISO 4217)."""
    return _CURRENCY.fullmatch(unit) is not None
