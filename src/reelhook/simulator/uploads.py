"""Files that clients upload before creates that name them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

FILES_MAX = 1000
_DEPTH_MAX = 4


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it came. `size` is in bytes; `sha256` is in hexadecimal."""

    content_type: str
    size: int
    sha256: str


class UploadedFiles:
    """The files of all wires, by the addresses that creates name; None: not uploaded yet.

    Only the newest are remembered.
    """

    def __init__(self) -> None:
        self._files: dict[str, UploadedFile | None] = {}

    def expect(self, address: str) -> None:
        """Remember an address before its file comes."""
        self._files[address] = None
        if len(self._files) > FILES_MAX:
            del self._files[next(iter(self._files))]

    def keep(self, address: str, content_type: str, body: bytes) -> None:
        """Keep a file. Raises `KeyError` for an address that nothing expects."""
        if address not in self._files:
            raise KeyError(address)
        self._files[address] = UploadedFile(content_type, len(body), sha256(body).hexdigest())

    @property
    def kept(self) -> Mapping[str, UploadedFile]:
        """The files that came."""
        return {address: file for address, file in self._files.items() if file is not None}

    def lacks(self, fields: object, prefix: str) -> bool:
        """Return True if a create names a file below this prefix that never came."""
        named = (text for text in _texts(fields) if text.startswith(prefix))
        return any(self._files.get(text) is None for text in named)


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEPTH_MAX and isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one, depth + 1)
