"""Where finished files may be fetched from: what the guard lets through, and which way.

The address of a file is named by others: a provider passes on what somebody's app says, and every
redirect names another one. So each is judged as a webhook's URL is, but for the provider's own
configured origin and what the operator allows its account.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import ClientSession, DummyCookieJar
from yarl import URL

from reelhook.domain.errors import FileAddressRefusedError, SettingsError
from reelhook.guard.addresses import AddressPolicy, LookUp
from reelhook.guard.connection import GuardedConnector
from reelhook.guard.networks import IPNetwork
from reelhook.guard.resolver import SystemLookUp
from reelhook.guard.target import (
    SIGNED_URL_CHARACTERS_MAX,
    AddressRefusedError,
    Origin,
    parse_target,
)

SETTING = (
    "file_networks of the provider's account, or the file's origin into its file_origins "
    "(REELHOOK_FILE_NETWORKS and REELHOOK_FILE_ORIGINS for an account of the environment)"
)

_REFUSED = "The finished file may not be fetched"


@dataclass(frozen=True, slots=True)
class FileAccess:
    """What the operator allows an account's files, beside public addresses.

    `networks` may be dialled; `origins`, such as `http://files:9000`, may lie anywhere. `look_up`
    resolves names; None: the system's. Raises `SettingsError` for what is no origin.
    """

    networks: tuple[IPNetwork, ...] = ()
    origins: tuple[str, ...] = ()
    look_up: LookUp | None = None

    def __post_init__(self) -> None:
        self.trusted()

    def trusted(self) -> set[Origin]:
        """Return the origins as URLs are compared with them."""
        return set(map(_allowed, self.origins))


@dataclass(frozen=True, slots=True)
class FileRequest:
    """How to ask for a file. `own`: at the provider's origin, which alone may see its key.

    `trusted`: at an origin that the operator named, so that where it redirects to is believed as
    far as it stays among those.
    """

    http: ClientSession
    url: URL
    own: bool
    trusted: bool


class Files:
    """Judges the addresses of one account's files. Made within a running loop, and closed.

    `http` reaches the provider, and what else the operator trusts.
    """

    def __init__(self, base: URL, http: ClientSession, access: FileAccess) -> None:
        self._own = _origin(base)
        self._trusted = {self._own, *access.trusted()}
        self._http = http
        self._policy = AddressPolicy(access.networks, SETTING)
        self._look_up = access.look_up or SystemLookUp()
        # A pool of its own, so that no connection that trust opened serves another's address.
        self._guarded = ClientSession(
            connector=GuardedConnector(self._policy, look_up=self._look_up),
            cookie_jar=DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._guarded.close()

    def is_own(self, url: str) -> bool:
        """Whether a URL lies at the provider's own origin."""
        try:
            target = parse_target(_written(url), characters_max=SIGNED_URL_CHARACTERS_MAX)
        except AddressRefusedError:
            return False
        return target.origin == self._own

    def way(self, url: URL | str, *, trusting: bool) -> FileRequest:
        """Return how to ask for a file: a URL below the base, or a text that somebody said.

        `trusting`: the provider, or another trusted origin, names it. What a stranger names is
        judged even where it lies at a trusted origin. Raises `FileAddressRefusedError`.
        """
        if isinstance(url, URL):
            return FileRequest(self._http, url, own=True, trusted=True)
        text = _written(url)
        try:
            target = parse_target(text, characters_max=SIGNED_URL_CHARACTERS_MAX)
        except AddressRefusedError as error:
            raise FileAddressRefusedError(f"{_REFUSED}: {error.message}") from None
        trusted = trusting and target.origin in self._trusted and target.userinfo is None
        if not trusted:
            try:
                self._policy.parse(text, characters_max=SIGNED_URL_CHARACTERS_MAX)
            except AddressRefusedError as error:
                raise refused(error) from None
        # A signed URL must not be quoted a second time.
        exact = URL(target.wire_url, encoded=True)
        own = trusted and target.origin == self._own
        return FileRequest(self._http if trusted else self._guarded, exact, own, trusted)

    async def check(self, url: str, *, trusting: bool = True) -> None:
        """Judge an address as a download would, its name looked up, and ask for nothing.

        Raises `FileAddressRefusedError`, and OSError where the look-up fails.
        """
        way = self.way(url, trusting=trusting)
        host = way.url.raw_host or ""
        if way.trusted or _is_address(host):
            return
        refusal = self._policy.name_refusal(host.rstrip("."), await self._look_up(host))
        if refusal is not None:
            raise refused(AddressRefusedError(refusal))


def place(url: str) -> str:
    """Return where a file lies, without its path, which may be signed."""
    try:
        scheme, host, port = parse_target(
            _written(url), characters_max=SIGNED_URL_CHARACTERS_MAX
        ).origin
    except AddressRefusedError:
        return "an address that can't be read"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def refused(error: AddressRefusedError) -> FileAddressRefusedError:
    """Return the error for an address that the guard refused; it names what would allow it."""
    remedy = "" if SETTING in error.message else f", or let the operator allow it: {SETTING}"
    return FileAddressRefusedError(f"{_REFUSED}: {error.message}{remedy}")


def _is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _written(url: str) -> str:
    """Return a URL as it is dialled: blanks in its path are common, and mean one thing."""
    return url.strip(" ").replace(" ", "%20")


def _origin(base: URL) -> Origin:
    try:
        return parse_target(str(base)).origin
    except AddressRefusedError:  # the operator's own words, such as an IPv6 address with its zone
        return base.scheme, base.raw_host or "", base.port or 0


def _allowed(origin: str) -> Origin:
    try:
        return parse_target(origin).origin
    except AddressRefusedError as error:
        raise SettingsError(
            f"file_origins: {origin!r} is not an origin ({error.message})"
        ) from None
