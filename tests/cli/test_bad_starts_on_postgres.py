"""A PostgreSQL database that can't be used ends the start with one sentence and its remedy."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from bad_starts import SERVE, refused
from bench.clusters import Cluster, cluster
from made_certificates import Authority, authority
from tls_front import tls_front

from reelhook.storage.schema import migrate as migrations

PASSWORD = "hunter2-hunter2"
SETTINGS = (
    f"CREATE ROLE anna LOGIN PASSWORD '{PASSWORD}'",
    f"CREATE ROLE closed LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0",
    "CREATE ROLE bare LOGIN",
    "CREATE ROLE lodger LOGIN",
    "CREATE DATABASE empty",
    "CREATE DATABASE shut",
    "REVOKE CONNECT ON DATABASE shut FROM PUBLIC",
    "CREATE DATABASE reading",
    "ALTER DATABASE reading SET default_transaction_read_only = on",
    "CREATE DATABASE old",
    "CREATE DATABASE whole",
    "CREATE DATABASE future",
    "CREATE DATABASE hidden",
)
ACCESS = """
host    tls       all       127.0.0.1/32  reject
host    all       postgres  127.0.0.1/32  trust
host    all       bare      127.0.0.1/32  trust
host    all       lodger    127.0.0.1/32  trust
host    all       all       127.0.0.1/32  scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Stage:
    server: Cluster
    authority: Authority

    def url(self, name: str, user: str = "postgres", query: str = "", port: int = 0) -> str:
        return f"postgresql://{user}@127.0.0.1:{port or self.server.port}/{name}{query}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with cluster() as server:
        one = Stage(server, authority(tmp_path_factory.mktemp("certificates")))
        asyncio.run(_prepare(one))
        (server.data / "pg_hba.conf").write_text(ACCESS)
        asyncio.run(_execute(one.url("postgres"), "SELECT pg_reload_conf()"))
        yield one


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _prepare(one: Stage) -> None:
    await _execute(one.url("postgres"), *SETTINGS)
    migrations.migrate(one.url("old"), 2)
    migrations.migrate(one.url("whole"))
    await _execute(
        one.url("old"),
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO bare",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO bare",
        "GRANT ALL ON SCHEMA public TO bare",
    )
    await _execute(one.url("whole"), "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bare")
    migrations.migrate(one.url("future"), 1)
    await _execute(one.url("future"), "UPDATE alembic_version SET version_num = '9999'")
    await _execute(one.url("hidden"), "REVOKE ALL ON SCHEMA public FROM PUBLIC")


@dataclass(frozen=True, slots=True)
class Case:
    """A database, how it is named, and what the sentence says."""

    name: str = "empty"
    user: str = "postgres"
    query: str = ""
    words: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


SERVERS = {
    "a wrong password": Case(user="anna:wrong", words=("anna", "correct user and password")),
    "no password": Case(user="anna", words=("password", "DATABASE_URL")),
    "no such role": Case(user="nobody:x", words=("nobody", "correct user and password")),
    "no such database": Case("absent", words=("absent", "createdb")),
    "a role that may not connect": Case("shut", "bare", words=("GRANT CONNECT",)),
    "a role that has too many connections": Case(
        user=f"closed:{PASSWORD}", words=("too many connections", "max_connections")
    ),
    "a role that may not create tables": Case(
        user="bare", words=("bare", "ALTER DATABASE empty OWNER TO bare", "GRANT CREATE ON SCHEMA")
    ),
    "a role that may not use the schema": Case("hidden", "lodger", words=("GRANT USAGE, CREATE",)),
    "a role that may only read": Case(
        "whole",
        "bare",
        words=("GRANT SELECT, INSERT, UPDATE, DELETE", "GRANT USAGE ON ALL SEQUENCES"),
        arguments=("--no-migrate",),
    ),
    "a role without any rights on the tables": Case(
        "whole", "lodger", words=("lodger", "accounts", "more", "GRANT SELECT, INSERT")
    ),
    "tables of another role that must be changed": Case(
        "old", "bare", words=("owner", "reelhook migrate --all", "--no-migrate")
    ),
    "a schema that lacks revisions": Case(
        "old", words=("reelhook migrate",), arguments=("--no-migrate",)
    ),
    "a schema that is newer": Case("future", words=("9999", "newer reelhook")),
    "a database that takes no writes": Case("reading", words=("read-only", "primary")),
    "a server without TLS": Case(query="?sslmode=require", words=("TLS", "sslmode=disable")),
    "a server that wants TLS": Case("tls", "anna:x", words=("sslmode=require",)),
    "a setting that the server does not know": Case(
        query="?colour=red", words=("colour", "DATABASE_URL")
    ),
    "a setting with a wrong value": Case(query="?statement_timeout=soon", words=("soon",)),
}


@pytest.mark.parametrize("case", SERVERS.values(), ids=SERVERS)
async def test_a_server_that_refuses(stage: Stage, tmp_path: Path, case: Case) -> None:
    url = stage.url(case.name, case.user, case.query)
    sentence = await refused(
        tmp_path, *case.words, arguments=(*SERVE, *case.arguments), DATABASE_URL=url
    )
    assert PASSWORD not in sentence


URLS = {
    "a raw % in a password": ("u:50%off@h/db", "%25"),
    "a raw # in a password": ("u:hunter2#hunter2@h/db", "%23"),
    "a raw / in a password": ("u:hunter2/hunter2@h/db", "%2F"),
    "a raw ? in a password": ("u:hunter2?hunter2@h/db", "%3F"),
    "a raw @ in a password": ("u:hunter2@hunter2@h/db", "%40"),
    "a port that is a word": ("u@h:hunter2/db", "port"),
    "a parameter without a value": ("u@h/db?sslmode", "name=value"),
    "an unknown sslmode": ("u@h/db?sslmode=on", "sslmode"),
    "GSSAPI encryption": ("u@h/db?gssencmode=require", "sslmode=verify-full"),
    "a time that is no number": ("u@h/db?connect_timeout=soon", "connect_timeout"),
    "a server that only reads": ("u@h/db?target_session_attrs=standby", "read-write"),
    "certificates that are not there": ("u@h/db?sslmode=verify-full&sslrootcert=no.pem", "no.pem"),
    "authorities that are nowhere": ("u@h/db?sslmode=verify-full", "sslrootcert=system"),
    "the system's authorities, unchecked": (
        "u@h/db?sslmode=require&sslrootcert=system",
        "sslmode=verify-full",
    ),
    "the parameter of another driver": ("u@h/db?ssl=true", "sslmode=require"),
    "what libpq can and we can't": ("u@h/db?requirepeer=postgres", "requirepeer"),
    "a host that does not exist": ("u@nowhere.invalid/db", "looked up"),
    "a socket that does not exist": ("/db?host=/nowhere", "no socket"),
    "an address that nobody listens at": ("u@127.0.0.1:9/db", "connection refused"),
}


@pytest.mark.parametrize(("rest", "words"), URLS.values(), ids=URLS)
async def test_a_url_that_leads_nowhere(tmp_path: Path, rest: str, words: str) -> None:
    sentence = await refused(
        tmp_path, words, HOME=str(tmp_path), DATABASE_URL=f"postgresql://{rest}"
    )
    assert "hunter2" not in sentence.replace("port hunter2", "")


CERTIFICATES = {
    "of an unknown authority": ("localhost", "sslrootcert=system", "sslrootcert=/path"),
    "of an unknown authority, for channel binding": (
        "localhost",
        "sslmode=require&channel_binding=require",
        "sslrootcert=/path",
    ),
    "that expired": ("expired", "sslmode=verify-full&sslrootcert={authority}", "renew it"),
    "for another name": (
        "db.example.com",
        "sslmode=verify-full&sslrootcert={authority}",
        "use a name that the certificate covers",
    ),
}


@pytest.mark.parametrize(("name", "query", "words"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_a_certificate(
    stage: Stage, tmp_path: Path, name: str, query: str, words: str
) -> None:
    expired = name == "expired"
    certificate = stage.authority.sign("localhost" if expired else name, expired=expired)
    query = query.format(authority=stage.authority.file)
    async with tls_front(certificate, stage.server.port) as port:
        url = stage.url("empty", query=f"?{query}", port=port)
        await refused(tmp_path, "is not trusted", words, DATABASE_URL=url)


@asynccontextmanager
async def answering(words: bytes) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(words)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1")
    async with listener:
        yield listener.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["another protocol", "nothing"]
)
async def test_a_port_of_another_program(stage: Stage, tmp_path: Path, words: bytes) -> None:
    async with answering(words) as port:
        url = stage.url("empty", port=port, query="?sslmode=disable")
        await refused(tmp_path, "DATABASE_URL", DATABASE_URL=url)


async def test_a_server_that_does_not_answer(stage: Stage, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = silent.getsockname()[1]
        url = stage.url("empty", port=port, query="?connect_timeout=1")
        await refused(tmp_path, "did not respond in time", DATABASE_URL=url)


async def test_a_worker_says_it_too(tmp_path: Path) -> None:
    await refused(
        tmp_path,
        "connection refused",
        arguments=("worker",),
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        DATABASE_URL="postgresql://u@127.0.0.1:9/db",
    )
