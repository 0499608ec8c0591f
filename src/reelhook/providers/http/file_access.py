"""Access to finished files: which addresses are allowed, and how each is requested.

The address of a file comes from outside: a provider passes on the output of other people's apps,
and every redirect names another address. So each address is checked like a webhook's URL. The
provider's configured origin and the origins that the operator allows for its account are exempt.
"""

from dataclasses import dataclass, field
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
    "file_networks of the provider's account, or the file's origin to its file_origins "
    "(REELHOOK_FILE_NETWORKS and REELHOOK_FILE_ORIGINS for an account of the environment)"
)

_REFUSED = "The finished file may not be fetched"


@dataclass(frozen=True, slots=True)
class FileAccess:
    """The addresses that the operator allows for an account's files, in addition to public ones.

    `networks` are allowed as destinations. `origins`, such as `http://files:9000`, are allowed at
    any address. `look_up` resolves names; None: the system's resolver.
    Raises `SettingsError` for an invalid origin.
    """

    networks: tuple[IPNetwork, ...] = ()
    origins: tuple[str, ...] = ()
    look_up: LookUp | None = None

    def __post_init__(self) -> None:
        self.trusted()

    def trusted(self) -> set[Origin]:
        """Return the origins in the form that URLs are compared with."""
        return set(map(_parsed_origin, self.origins))


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A request for a file. `own`: it goes to the provider's origin, the only one to get the key.

    `trusted`: it goes to an origin that the operator allows. Its redirects are trusted as long as
    they lead to such an origin again.
    """

    http: ClientSession
    url: URL = field(repr=False)
    own: bool
    trusted: bool


class Files:
    """Checks the addresses of one account's files. Made within a running loop; `close` ends it.

    `http` is used for the provider and for other trusted origins.
    """

    def __init__(self, base: URL, http: ClientSession, access: FileAccess) -> None:
        self._own = _origin(base)
        self._trusted = {self._own, *access.trusted()}
        self._http = http
        self._policy = AddressPolicy(access.networks, SETTING)
        self._look_up = access.look_up or SystemLookUp()
        # A separate pool: a connection to a trusted address must not serve an untrusted request.
        self._guarded = ClientSession(
            connector=GuardedConnector(self._policy, look_up=self._look_up),
            cookie_jar=DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._guarded.close()

    def is_own(self, url: str) -> bool:
        """Return True if a URL is at the provider's own origin."""
        try:
            target = parse_target(_normalized(url), characters_max=SIGNED_URL_CHARACTERS_MAX)
        except AddressRefusedError:
            return False
        return target.origin == self._own

    def request_for(self, url: URL | str, *, trusting: bool) -> FileRequest:
        """Return the request for a file at a URL below the base, or at an address from outside.

        `trusting`: the address comes from the provider or from another trusted origin. Any other
        address is checked, even one at a trusted origin. Raises `FileAddressRefusedError`.
        """
        if isinstance(url, URL):
            return FileRequest(self._http, url, own=True, trusted=True)
        text = _normalized(url)
        try:
            target = parse_target(text, characters_max=SIGNED_URL_CHARACTERS_MAX)
        except AddressRefusedError as error:
            raise FileAddressRefusedError(f"{_REFUSED}: {error.message}") from None
        trusted = trusting and target.origin in self._trusted and target.userinfo is None
        if not trusted:
            try:
                self._policy.parse(text, characters_max=SIGNED_URL_CHARACTERS_MAX)
            except AddressRefusedError as error:
                raise address_refused(error) from None
        # A signed URL must not be quoted a second time.
        exact = URL(target.wire_url, encoded=True)
        own = trusted and target.origin == self._own
        return FileRequest(self._http if trusted else self._guarded, exact, own, trusted)

    async def check(self, url: str, *, trusting: bool = True) -> None:
        """Check an address like a download does, with a name look-up but without a request.

        Raises `FileAddressRefusedError`, or OSError if the look-up fails.
        """
        request = self.request_for(url, trusting=trusting)
        host = request.url.raw_host or ""
        if request.trusted or _is_address(host):
            return
        refusal = self._policy.name_refusal(host.rstrip("."), await self._look_up(host))
        if refusal is not None:
            raise address_refused(AddressRefusedError(refusal))


def origin_text(url: str) -> str:
    """Return the origin of a file, for messages: its path may hold a signature."""
    try:
        scheme, host, port = parse_target(
            _normalized(url), characters_max=SIGNED_URL_CHARACTERS_MAX
        ).origin
    except AddressRefusedError:
        return "an unreadable address"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def address_refused(error: AddressRefusedError) -> FileAddressRefusedError:
    """Return the exception for an address that the guard refused, with the remedy."""
    remedy = "" if SETTING in error.message else f", or ask the operator to add it to {SETTING}"
    return FileAddressRefusedError(f"{_REFUSED}: {error.message}{remedy}")


def _is_address(host: str) -> bool:
    """Return True if a host is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _normalized(url: str) -> str:
    """Return a URL as it is requested: spaces in paths are common, and their meaning is clear."""
    return url.strip(" ").replace(" ", "%20")


def _origin(base: URL) -> Origin:
    try:
        return parse_target(str(base)).origin
    except AddressRefusedError:  # from the operator: for example an IPv6 address with its zone
        return base.scheme, base.raw_host or "", base.port or 0


def _parsed_origin(origin: str) -> Origin:
    try:
        return parse_target(origin).origin
    except AddressRefusedError as error:
        raise SettingsError(
            f"file_origins: {origin!r} is not an origin ({error.message})"
        ) from None
