"""Objects in a folder or a bucket, by the library obstore, which speaks to each kind of store."""

import asyncio
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from reelhook.core.disk_threads import DiskThreads
from reelhook.domain.archive_errors import ObjectMissingError, ObjectStoreError
from reelhook.objects.local_reads import LocalFile
from reelhook.ports import ObjectBytes, ObjectInfo

if TYPE_CHECKING:  # obstore has some of these names for type checkers only
    from obstore import BytesStream
    from obstore.store import ClientConfig, RetryConfig

PART_BYTES = 5 * 1024 * 1024
"""The smallest part that S3 takes, so files may have 48 GiB in its 10,000 parts."""
PARTS_AT_ONCE = 2
"""So an upload takes 10 MiB of memory, whatever the size of its file."""
CHUNK_BYTES = 256 * 1024
THREADS = 8
"""The threads that read files of a folder. So a disk that hangs holds up no other work."""
RETRY_SECONDS = 10.0
"""A request is repeated for so long; then the callers try again, after longer waits."""
_DENIED = "AccessDenied"
_QUERY = re.compile(r"\?[^\s\"']*")
"""The query of a URL in a message: it may hold a signature."""
_USER = re.compile(r"//[^\s/@\"']*@")
"""The user and the password in a URL, such as that of `AWS_ENDPOINT_URL`."""
_UNFINISHED = re.compile(r"[^#]+\.\w+#\d+")
"""The name of a file of a folder until it is whole (`local.rs` of the library object_store)."""
_TIMEOUTS = {"read_timeout": "60s", "timeout": "12h"}
"""The times for a part of a file, and for a whole response, unless variables set them."""
_PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_CLIENT_KEYS = (
    *("allow_http", "allow_invalid_certificates", "connect_timeout", "read_timeout"),
    "timeout",
    *("proxy_url", "proxy_ca_certificate", "proxy_excludes", "pool_idle_timeout", "user_agent"),
)
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}


class ObstoreObjects:
    """Implements `ports.Objects` for a URL such as `file:///srv/videos` or `s3://bucket/prefix`.

    The credentials of a bucket are those that its own tools read, such as `AWS_ACCESS_KEY_ID`.
    Raises `ObjectStoreError` for a URL that is no store's.
    """

    def __init__(self, url: str) -> None:
        self.name = url
        is_folder = url.startswith("file://")
        self._folder = Path(unquote(urlsplit(url).path)) if is_folder else None
        self._threads = DiskThreads(THREADS, "objects")
        with _named(url):
            self._store: ObjectStore = (
                _bucket(url)
                if self._folder is None
                else LocalStore(self._folder, mkdir=True, automatic_cleanup=True)
            )

    async def put(self, key: str, file: Path, content_type: str, *, disposition: str = "") -> None:
        """See `Objects.put`."""
        with _named(self.name):
            await obstore.put_async(
                self._store,
                key,
                file,
                attributes=self._attributes(content_type, disposition),
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            if self._folder is not None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, _make_durable, self._folder / key)

    async def put_bytes(self, key: str, body: bytes, content_type: str) -> None:
        """See `Objects.put_bytes`."""
        with _named(self.name):
            await obstore.put_async(
                self._store, key, body, attributes=self._attributes(content_type)
            )

    def _attributes(self, content_type: str, disposition: str = "") -> dict[str, str] | None:
        if self._folder is not None:
            return None  # it has no place for them
        named = {"Content-Disposition": disposition} if disposition else {}
        return {"Content-Type": content_type, **named}

    @asynccontextmanager
    async def open(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncIterator[ObjectBytes]:
        """See `Objects.open`."""
        if self._folder is not None:
            with _named(self.name):
                file = await LocalFile.open(self._folder / key, self._threads)
            try:
                yield ObjectBytes(file.size, self._named_chunks(file.chunks(start, end)))
            finally:
                file.close()
            return
        options = None if end is None and not start else {"range": _range(start, end)}
        with _named(self.name):
            found = await obstore.get_async(self._store, key, options=options)  # type: ignore[arg-type] # the stub wants a TypedDict
        stream = found.stream(min_chunk_size=CHUNK_BYTES)
        yield ObjectBytes(found.meta["size"], self._named_chunks(stream))

    async def _named_chunks(
        self, chunks: "AsyncIterator[bytes] | BytesStream"
    ) -> AsyncIterator[bytes]:
        with _named(self.name):
            async for chunk in chunks:
                yield bytes(chunk)

    async def size(self, key: str) -> int | None:
        """See `Objects.size`."""
        try:
            with _named(self.name):
                return (await obstore.head_async(self._store, key))["size"]
        except ObjectMissingError:
            return None

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`."""
        for key in keys:
            try:
                with _named(self.name):
                    await obstore.delete_async(self._store, key)
            except ObjectMissingError:
                continue

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """See `Objects.list`."""
        with _named(self.name):
            async for batch in obstore.list(self._store, prefix or None):
                for found in batch:
                    modified_at = round(found["last_modified"].timestamp() * 1000)
                    yield ObjectInfo(found["path"], found["size"], modified_at)

    async def signed_url(self, key: str, seconds: float) -> str | None:
        """See `Objects.signed_url`."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        with _named(self.name):
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))

    async def check(self) -> None:
        """See `Objects.check`."""
        key, body = f"checks/{secrets.token_hex(8)}", b"reelhook"
        step = "write"
        try:
            await self.put_bytes(key, body, "text/plain")
            step = "read"
            async with self.open(key) as found:
                read = b"".join([chunk async for chunk in found.chunks])
            if read == body:
                step = "delete"
            await self.delete([key])
        except ObjectMissingError as error:  # a bucket that does not exist
            raise ObjectStoreError(self.name, error.reason, step=step, refused=True) from error
        except ObjectStoreError as error:
            raise ObjectStoreError(
                self.name, error.reason, step=step, refused=error.refused
            ) from error
        if step == "read":
            raise ObjectStoreError(self.name, "it returned other bytes than were written")

    def local_path(self, key: str) -> Path | None:
        """See `Objects.local_path`."""
        return None if self._folder is None else self._folder / key

    def remove_unfinished(self, seconds: float) -> int:
        """See `Objects.remove_unfinished`."""
        if self._folder is None:
            return 0
        oldest, removed = time.time() - seconds, 0
        for path in self._folder.glob("*/*#*"):
            if _UNFINISHED.fullmatch(path.name) and path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
        return removed

    def free_bytes(self) -> tuple[int, int] | None:
        """See `Objects.free_bytes`."""
        if self._folder is None:
            return None
        usage = shutil.disk_usage(self._folder)
        return usage.free, usage.total


def _bucket(url: str) -> ObjectStore:
    """Open a bucket, with the client's settings of its variables, such as AWS_ALLOW_HTTP.

    They are passed on one by one, since obstore replaces them by the options that are given.
    """
    prefix = _PREFIXES.get(urlsplit(url).scheme, "")
    options = _TIMEOUTS | {
        name: os.environ[variable]
        for name in _CLIENT_KEYS
        if (variable := prefix + name.upper()) in os.environ
    }
    client = cast("ClientConfig", options)
    return from_url(url, client_options=client, retry_config=_RETRY)


def _make_durable(path: Path) -> None:
    """Write a file and its name to the disk, so that a crash of the machine keeps both."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _range(start: int, end: int | None) -> object:
    return {"offset": start} if end is None else (start, end)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn the errors of the library into ours, with the store's name and a short reason."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(name, _reason(error)) from None
    except (PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
        raise ObjectStoreError(name, _reason(error), refused=True) from None
    except (TimeoutError, BaseError, OSError, ValueError) as error:
        # S3 answers a refused deletion with 200, and names the refusal in the body.
        refused = _DENIED in str(error)
        raise ObjectStoreError(name, _reason(error), refused=refused) from None


def _reason(error: BaseException) -> str:
    """Return the first line of an error: the others are details of the library."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _USER.sub("//...@", _QUERY.sub("?...", lines[0]))[:300]
