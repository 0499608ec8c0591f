"""Refusals of a request's models name those that can, or those that were probably meant."""

from collections.abc import Iterator
from contextlib import contextmanager

from reelhook.domain.caller import Caller
from reelhook.domain.catalog import Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model_advice import advised
from reelhook.domain.request import VideoRequest


@contextmanager
def advising(caller: Caller, catalog: Catalog, request: VideoRequest) -> Iterator[None]:
    """Add advice to an `InvalidRequestError` about a request's models."""
    try:
        yield
    except InvalidRequestError as error:
        raise advised(error, request, catalog, caller.allows_model) from error
