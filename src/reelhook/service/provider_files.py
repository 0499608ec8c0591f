"""The use case for files of requests that providers fetch here, by addresses that expire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reelhook.domain.caller import Caller, Scope
from reelhook.domain.errors import UnknownCallbackError
from reelhook.domain.file_address import FileAddresses
from reelhook.domain.media import File
from reelhook.ports import Clock, RequestFileReads

FILES_AT_ONCE = 2
"""The files that are in memory at once; other requests wait."""


class ProviderFiles:
    """The stored files of requests, for providers that get the address of one."""

    def __init__(self, store: RequestFileReads, addresses: FileAddresses, *, clock: Clock) -> None:
        self._store = store
        self._addresses = addresses
        self._clock = clock
        self._slots = asyncio.Semaphore(FILES_AT_ONCE)

    @asynccontextmanager
    async def open(self, caller: Caller, token: str) -> AsyncIterator[File]:
        """Give the file at an address, in memory until the block ends.

        Raises `UnknownCallbackError` if the address is not one of ours, if it has expired, or if
        the file is not stored any more.
        """
        caller.require(Scope.OPERATE)
        named = self._addresses.file(token, self._clock.now())
        if named is None:
            raise UnknownCallbackError
        project, file_hash = named
        async with self._slots:
            found = await self._store.files(project, [file_hash])
            if file_hash not in found:
                raise UnknownCallbackError
            yield found[file_hash]
