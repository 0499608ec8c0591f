"""Requests that cost nothing."""

import pytest
from yarl import URL

from reelhook.domain.errors import ProviderError
from reelhook.providers.http import reads
from reelhook.providers.http.response_memory import ResponseMemory


async def test_a_read_after_the_stop_is_an_error_of_its_own_kind() -> None:
    session = reads.session()
    await session.close()
    with pytest.raises(ProviderError, match="stopping"):
        await reads.ask(session, "GET", URL("http://127.0.0.1:9/"), {}, memory=ResponseMemory())
