"""Credentials: the means by which requests are let in, and the lifetimes of streams by them."""

from collections.abc import Callable
from dataclasses import dataclass

from reelhook.domain.event import Instant


@dataclass(frozen=True, slots=True)
class RequestCredential:
    """The means by which a request was let in.

    `hash_or_id` is that of its key; None: it has none. `expires_at` is the end of a browser token,
    a session or a link. `until_key`: no key was needed, so it ends once one is. `one_job`: it is a
    browser token, whose holder gets nothing that outlives it.
    """

    hash_or_id: str | None = None
    expires_at: Instant | None = None
    until_key: bool = False
    one_job: bool = False


class Lifetime:
    """The time until a stream's credential ends; `wake` is called at its end."""

    def __init__(self, credential: RequestCredential, wake: Callable[[], None]) -> None:
        self.credential = credential
        self.over = False
        self._wake = wake

    def end(self) -> None:
        """End the stream."""
        self.over = True
        self._wake()
