import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from reelhook.guard.target import URL_CHARACTERS_MAX, AddressRefusedError, parse_target


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("HTTPS://Hooks.Example.COM", "https://hooks.example.com/"),
        ("https://hooks.example.com:443/a", "https://hooks.example.com/a"),
        ("http://hooks.example.com:443/a", "http://hooks.example.com:443/a"),
        ("https://hooks.example.com:/x", "https://hooks.example.com/x"),
        ("http://hooks.example.com:?a=1", "http://hooks.example.com/?a=1"),
        ("http://[2606:4700::1]:/", "http://[2606:4700::1]/"),
        ("https://hooks.example.com?a=1", "https://hooks.example.com/?a=1"),
        ("https://hooks.example.com/a#b?c", "https://hooks.example.com/a"),
        ("https://hooks.example.com./a", "https://hooks.example.com./a"),
        ("https://bücher.example/ü?q=é", "https://xn--bcher-kva.example/%C3%BC?q=%C3%A9"),
        ("http://[2606:4700:0:0::1]:8080/", "http://[2606:4700::1]:8080/"),
        ("http://93.184.215.14/", "http://93.184.215.14/"),
    ],
)
def test_the_wire_url_is_canonical(url: str, wire: str) -> None:
    assert parse_target(url).wire_url == wire


@pytest.mark.parametrize(
    "request_target",
    [
        "/a/../b//c",
        "/%7euser/%2e%2e/%zz",
        "/hook?token=a%2Fb+c%20d&sig=x==&x=[1]&y={z}&%",
        "/a;b=c,d/'!()*~|^`\"<>",
        "/p?a?b?c=%E2%82%AC",
    ],
)
def test_path_and_query_are_sent_byte_for_byte(request_target: str) -> None:
    target = parse_target(f"https://hooks.example.com{request_target}")
    assert target.request_target == request_target
    # What aiohttp puts into the request line.
    assert URL(target.wire_url, encoded=True).raw_path_qs == request_target


@pytest.mark.parametrize(
    "url",
    [
        "http:/hooks.example.com/",
        "http:hooks.example.com",
        "//hooks.example.com/",
        " https://hooks.example.com/",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com/\ud800",
        "https://hooks.example.com:00443/",
        "https://hooks.example.com:0443/",
        "https://[2606:4700::1]:0443/",
        "https://hooks.example.com:00/",
        "https://hooks.example.com:+443/",
        "https://hooks.example.com::443/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:\u0664\u0664\u0663/",
        "https://hooks.example.com../",
        "https://./",
        "https://[::ffff:1.2.3.4/",
        "https://[2606:4700::1]443/",
        "https://1.2.3.4./",
        "https://1.2.3.0x4/",
        "https://0x7f000001/",
        "https://0x/",
        "https://127.1/",
        "https://foo.1/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://hooks\uff0eexample.com/",
        "https://hooks,example.com/",
        "https://xn--a/",
        "https://\u0430\u0301\u200d.example/",
    ],
)
def test_what_two_parsers_might_read_differently_is_refused(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        parse_target(url)


@pytest.mark.parametrize(
    "character",
    [
        *("\t", "\n", "\x0b", "\x1f", " ", "\x7f", "\x80", "\x85", "\x9f", "\xa0", "\xad"),
        *("\u1680", "\u2003", "\u200b", "\u200f", "\u2028", "\u2029", "\u202e", "\u2060"),
        *("\u3000", "\ufeff", "\udc80", "\U000e0020"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize(
    "url",
    [
        *("{}https://h.example/", "https://h.{}example/", "https://h.example:4{}43/"),
        *("https://h.example/a{}b", "https://h.example/?a{}b", "https://h.example/#{}"),
        *("https://h.example/{}", "https://u{}@h.example/"),
    ],
)
def test_blanks_line_ends_and_what_nobody_sees_are_refused_in_every_place(
    url: str, character: str
) -> None:
    with pytest.raises(AddressRefusedError):
        parse_target(url.format(character))


def test_a_url_may_be_2048_characters_long_and_no_longer() -> None:
    url = "https://hooks.example.com/".ljust(URL_CHARACTERS_MAX, "a")
    assert len(parse_target(url).wire_url) == 2048
    with pytest.raises(AddressRefusedError, match="2048"):
        parse_target(url + "a")


HOSTS = st.sampled_from(["hooks.example.com", "127.0.0.1", "[::1]", "bücher.example", "a.0x1"])
URLS = st.builds(
    "{}://{}{}{}".format, st.sampled_from(["http", "HTTPS", "ws"]), HOSTS, st.text(), st.text()
)


@given(st.text() | URLS)
@example("https://[v1.x]/")
@example("http://\u00a1@a/")
def test_a_url_is_refused_or_read_the_same_once_more(url: str) -> None:
    try:
        target = parse_target(url)
    except AddressRefusedError:
        return
    assert target.wire_url.isascii()
    again = parse_target(target.wire_url)
    assert again.wire_url == target.wire_url
    assert (again.host, again.address, again.port) == (target.host, target.address, target.port)


@given(URLS)
@example("http://[::1][]@hooks.example.com/")
@example("http://hooks.example.com/??")
def test_the_client_reads_the_same_host_and_port(url: str) -> None:
    try:
        target = parse_target(url)
    except AddressRefusedError:
        return
    read = URL(target.wire_url, encoded=True)
    assert (read.raw_host, read.port) == (target.host, target.port)
    path, _, query = target.request_target.partition("?")
    assert read.raw_path_qs == (f"{path}?{query}" if query else path)
