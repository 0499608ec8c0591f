"""The parameters of libpq are followed, harmless, or refused with a clear message."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.clusters import Cluster, cluster
from hypothesis import given
from hypothesis import strategies as st
from made_certificates import authority
from tls_front import tls_front

from reelhook.domain.errors import SettingsError
from reelhook.storage.postgres.failover import Failover
from reelhook.storage.postgres.url import name_of_host, read_url

USUAL = (
    "channel_binding=prefer",
    "connect_timeout=10",
    "connect_timeout=0",
    "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3",
    "keepalives=0",
    "tcp_user_timeout=20000",
    "gssencmode=disable",
    "gssencmode=prefer",
    "sslmode=disable",
    "sslmode=prefer",
    "sslcompression=0",
    "sslsni=1",
    "target_session_attrs=read-write",
    "target_session_attrs=any",
    "load_balance_hosts=disable",
    "application_name=reelhook",
    "fallback_application_name=reelhook",
    "client_encoding=utf8",
    "options=-c%20statement_timeout%3D9000",
    "search_path=public",
    "sslmode=disable&connect_timeout=5&application_name=a%20b",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


@pytest.mark.parametrize("query", USUAL)
async def test_usual_parameters_are_taken(server: Cluster, query: str) -> None:
    connection = await Failover(f"{server.url}?{query}").connect()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_what_the_server_is_told_reaches_it(server: Cluster) -> None:
    query = "options=-c%20statement_timeout%3D9000&fallback_application_name=a%20name"
    connection = await Failover(f"{server.url}?{query}&gssencmode=disable").connect()
    told = [
        await connection.fetchval(f"SHOW {one}")
        for one in ("statement_timeout", "application_name")
    ]
    await connection.close()
    assert told == ["9s", "a name"]


async def test_keepalives_are_those_of_the_url(server: Cluster) -> None:
    query = "keepalives_idle=31&keepalives_interval=11&keepalives_count=4&tcp_user_timeout=9000"
    connection = await Failover(f"{server.url}?{query}").connect()
    sock = connection._transport.get_extra_info("socket")
    found = [
        sock.getsockopt(socket.IPPROTO_TCP, one)
        for one in (
            socket.TCP_KEEPIDLE,
            socket.TCP_KEEPINTVL,
            socket.TCP_KEEPCNT,
            socket.TCP_USER_TIMEOUT,
        )
    ]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    await connection.close()
    assert found == [31, 11, 4, 9000]


@pytest.mark.parametrize("query", ["sslrootcert=system", "sslmode=require&channel_binding=require"])
async def test_the_system_s_authorities_are_those_of_ssl_cert_file(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    one = authority(tmp_path)
    async with tls_front(one.sign(), server.port) as port:
        url = f"postgresql://postgres@localhost:{port}/postgres?{query}"
        with pytest.raises(OSError, match="certificate verify failed"):
            await Failover(url).connect()
        monkeypatch.setenv("SSL_CERT_FILE", str(one.file))
        connection = await Failover(url).connect()
        assert connection._transport.get_extra_info("ssl_object") is not None
        await connection.close()


async def test_a_private_authority_is_named_by_sslrootcert(server: Cluster, tmp_path: Path) -> None:
    one = authority(tmp_path)
    async with tls_front(one.sign(), server.port) as port:
        for mode in ("verify-full", "require&channel_binding=require"):
            url = (
                f"postgresql://postgres@localhost:{port}/postgres"
                f"?sslmode={mode}&sslrootcert={one.file}"
            )
            await (await Failover(url).connect()).close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:p@db.example.com:5/x?host=other", "db.example.com"),
        ("postgresql:///x?host=db", "db"),
        ("postgresql://u@127.0.0.1/x", None),
        ("postgresql://u@[::1]:5/x", None),
        ("postgresql:///x?host=/run/postgresql", None),
        ("postgresql:///x?host=one,two", None),
        ("postgresql:///x", None),
    ],
)
def test_only_names_are_looked_up(url: str, name: str | None) -> None:
    assert name_of_host(url) == name


@pytest.mark.parametrize(
    "query", ["sslmode=verify-full&sslrootcert=/absent.pem", "gssencmode=require", "hostaddr=1"]
)
def test_what_can_be_checked_without_a_server_is_checked(query: str) -> None:
    assert "DATABASE_URL" in refusal(f"postgresql://u@h/db?{query}")


def test_what_the_url_leaves_open_is_in_the_environment() -> None:
    variables = {"PGSSLROOTCERT": "system", "PGCONNECT_TIMEOUT": "7"}
    read = read_url("postgresql://u@h/db", variables)
    assert read.seconds == 7
    assert read.options["ssl"].check_hostname
    assert read_url("postgresql://u@h/db?connect_timeout=3", variables).seconds == 3
    with pytest.raises(SettingsError, match="sslcert"):
        read_url("postgresql://u@h/db", {"PGSSLCERT": "/absent.pem"})


@given(st.text(st.characters(codec="ascii", exclude_characters=":@/?#%"), max_size=12))
def test_a_password_is_in_no_sentence(password: str) -> None:
    secret = f"hunter2{password}"
    for spoilt in (f"{secret}#", f"{secret}/", f"{secret}?", f"{secret}@", f"%{secret}", secret):
        assert secret not in refusal(f"postgresql://u:{spoilt}@h/db?connect_timeout=x")


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_read_or_refused_in_one_line(text: str, value: str) -> None:
    for url in (
        f"postgresql://{text}",
        f"postgresql://h/db?sslmode={value}&connect_timeout={text}",
    ):
        told = refusal(url)
        assert not told or told.startswith("DATABASE_URL ")
        assert "\n" not in told


def refusal(url: str) -> str:
    """Return the sentence; none where the URL is right."""
    try:
        assert read_url(url).urls
    except SettingsError as error:
        return error.message
    return ""
