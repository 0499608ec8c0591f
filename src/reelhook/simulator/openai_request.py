"""Reads the query of a listing of the OpenAI wire."""

from collections.abc import Mapping
from dataclasses import dataclass

from reelhook.simulator.requests import is_whole, refuse

LIMIT_DEFAULT, LIMIT_MAX = 20, 100


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A page of the listing: up to `limit` (0..100) jobs after the job `after`."""

    after: str | None
    limit: int
    newest_first: bool


def page_query(query: Mapping[str, str]) -> PageQuery:
    """Return the page that a listing's query asks for."""
    limit = query.get("limit", str(LIMIT_DEFAULT))
    if not is_whole(limit) or int(limit) > LIMIT_MAX:
        refuse("limit", f"must be a whole number from 0 to {LIMIT_MAX}")
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        refuse("order", "must be asc or desc")
    return PageQuery(query.get("after"), int(limit), newest_first=order == "desc")
