"""Messages for a PostgreSQL database that cannot be used: a reason and its remedy."""

import re
import socket
import ssl
from collections.abc import Sequence

import asyncpg

from reelhook.domain.errors import SettingsError
from reelhook.guard.certificates import distrust
from reelhook.storage.error_text import error_text

_CANT = "The database of DATABASE_URL can't be"
_PASSING = (
    asyncpg.CannotConnectNowError,  # the server is starting, stopping or recovering
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.PostgresConnectionError,
    asyncpg.TargetServerAttributeNotMatched,  # a failover may be in progress
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_OF_A_POOLER = re.compile(r"server login has been failing|connect|shut|pause", re.IGNORECASE)
_STARTUP_PARAMETER = re.compile(r"unsupported startup parameter(?: in options)?: (\S+)")
_PARAMETER = re.compile(r'(?:parameter|value for parameter) "([^"]+)"')
_Kinds = type[BaseException] | tuple[type[BaseException], ...]
_REMEDIES: Sequence[tuple[_Kinds, str]] = (
    (
        asyncpg.InvalidCatalogNameError,
        "create it with `createdb -O USER NAME`, or correct its name in DATABASE_URL",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "correct user and password in DATABASE_URL, or the server's pg_hba.conf",
    ),
    (
        asyncpg.TooManyConnectionsError,
        "raise max_connections, because each process takes up to 5, or close other programs'",
    ),
    (asyncpg.DiskFullError, "free space on the server's disk"),
    (
        (asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched),
        "no server there accepts writes; name the primary in DATABASE_URL",
    ),
    (asyncpg.InterfaceError, "correct DATABASE_URL"),
    (socket.gaierror, "correct the host in DATABASE_URL, or this machine's name servers"),
    (ConnectionRefusedError, "start PostgreSQL there, or correct host and port in DATABASE_URL"),
    (FileNotFoundError, "start PostgreSQL, or name its host in DATABASE_URL"),
    (
        (asyncpg.InternalClientError, asyncpg.ConnectionDoesNotExistError),
        "check that PostgreSQL listens there, or correct host and port in DATABASE_URL",
    ),
    (
        (TimeoutError, OSError),
        "start the server, allow this machine to connect, or correct host and port in DATABASE_URL",
    ),
)


class DatabaseAwayError(SettingsError):
    """The database cannot be used now, for a reason that may disappear by itself."""


def refusal(error: BaseException, done: str = "opened") -> SettingsError:
    """Return the error that a user sees. `done` is the failed action, like `opened`."""
    kind = DatabaseAwayError if _may_pass(error) else SettingsError
    problem = "schema_not_owned" if _lacks_ownership(error) else None
    cause = f"{_CANT} {done}: {error_text(error).rstrip('.')}"
    return kind(f"{_CANT} {done}: {_sentence(error)}", problem=problem, facts={"cause": cause})


def _lacks_ownership(error: BaseException) -> bool:
    # An error about a schema may also mention an owner, but the remedy is a grant.
    text = error_text(error)
    insufficient = isinstance(error, asyncpg.InsufficientPrivilegeError)
    return insufficient and "owner" in text and "schema" not in text


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ssl.SSLError) or "rejected SSL upgrade" in str(error):
        return False
    if isinstance(error, asyncpg.ProtocolViolationError):
        # PgBouncer uses this code for all of its errors.
        return _STARTUP_PARAMETER.search(str(error)) is None and bool(
            _OF_A_POOLER.search(str(error))
        )
    return isinstance(error, _PASSING)


def _sentence(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return _of_certificate(error)
    text = error_text(error).rstrip(".")
    if "rejected SSL upgrade" in text:
        return "the server does not offer TLS; turn ssl on there, or write sslmode=disable"
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"{text}; {_grant(text)}"
    if match := _STARTUP_PARAMETER.search(text):
        return (
            f"the pooler refuses the parameter {match[1].rstrip(',')}; remove it from DATABASE_URL "
            "and give it to the role (ALTER ROLE ... SET ...), or put it into the pooler's "
            "ignore_startup_parameters"
        )
    if isinstance(error, asyncpg.PostgresError) and (match := _PARAMETER.search(text)):
        return f"{text}; correct {match[1]} in DATABASE_URL, or remove it"
    if isinstance(error, asyncpg.PostgresError) and "no encryption" in text:
        return f"{text}; the server may want TLS: write sslmode=require"
    remedy = next((text for kind, text in _REMEDIES if isinstance(error, kind)), None)
    return text if remedy is None else f"{_reason(error, text)}; {remedy}"


def _reason(error: BaseException, text: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"its host can't be looked up ({error.strerror})"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    if isinstance(error, FileNotFoundError):
        return "there is no socket of a server on this machine"
    return text


def _of_certificate(error: ssl.SSLError) -> str:
    reason = distrust(error, "name its authority with sslrootcert=/path/to/ca.pem in DATABASE_URL")
    if reason is not None:
        return f"the server's certificate {reason}"
    text = error_text(error)
    return f"TLS failed ({text}); correct sslmode, sslcert and sslkey in DATABASE_URL"


def _grant(text: str) -> str:
    if "schema" in text:
        return (
            "as the database's owner: GRANT USAGE, CREATE ON SCHEMA public TO the role, or "
            "apply all revisions as the role that owns the tables"
        )
    if "owner" in text:
        return "apply all revisions as the role that owns the tables"
    if "database" in text:
        return "as the database's owner: GRANT CONNECT ON DATABASE ... TO the role"
    return (
        "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
        "public TO the role, and GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO it"
    )
