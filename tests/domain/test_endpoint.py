from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import WebhookResponse
from reelhook.domain.endpoint import (
    AFTER_END_EVENTS,
    LANES,
    MASK,
    Disabled,
    Endpoint,
    EndpointKind,
    EventName,
    lane_of,
    name_of,
    origin_of,
    shown_url,
    url_id,
)
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Event, EventKind, WireStatus

from .deliveries import GONE, OK, REFUSED, SILENT
from .samples import MINUTE, NOW

HOUR = 60 * MINUTE
ENDPOINT = Endpoint(
    "ep_1",
    EndpointKind.REGISTERED,
    "https://h.example/hook",
    trusted=False,
    created_at=NOW,
    secret="first",
)
kinds = st.sampled_from(EndpointKind)


def event(kind: EventKind, status: WireStatus) -> Event:
    return Event("job_1", 1, kind, status, 40, NOW, "video_1")


# -- what it is told -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        (EventKind.STATUS, WireStatus.QUEUED, EventName.QUEUED),
        (EventKind.STATUS, WireStatus.PROCESSING, EventName.PROCESSING),
        (EventKind.PROGRESS, WireStatus.QUEUED, EventName.PROGRESS),
        (EventKind.PROGRESS, WireStatus.PROCESSING, EventName.PROGRESS),
        (EventKind.TERMINAL, WireStatus.COMPLETED, EventName.COMPLETED),
        (EventKind.TERMINAL, WireStatus.FAILED, EventName.FAILED),
        (EventKind.RECOVERED, WireStatus.FAILED, EventName.JOB_RECOVERED),
        (EventKind.ARCHIVE_FAILED, WireStatus.COMPLETED, EventName.ARCHIVE_FAILED),
    ],
)
def test_an_event_is_called_by_its_status_or_progress(
    kind: EventKind, status: WireStatus, name: EventName
) -> None:
    assert name_of(event(kind, status)) is name


@given(
    st.frozensets(st.sampled_from(EventName)),
    st.sampled_from(EventKind),
    st.sampled_from(WireStatus),
)
def test_it_is_told_of_what_it_asked_for_and_of_nothing_else(
    names: frozenset[EventName], kind: EventKind, status: WireStatus
) -> None:
    told = event(kind, status)
    assert replace(ENDPOINT, events=names).wants(told) == (name_of(told) in names)
    assert ENDPOINT.wants(told) == (name_of(told) not in AFTER_END_EVENTS)


# -- secrets ---------------------------------------------------------------------------------------


@given(st.integers(1, 720 * HOUR))
def test_the_secret_so_far_signs_along_until_the_overlap_ends(overlap: int) -> None:
    rotated = ENDPOINT.rotated("second", NOW, overlap)
    assert rotated.secret == "second"
    assert rotated.honoured_previous(NOW) == "first"
    assert rotated.honoured_previous(NOW + overlap - 1) == "first"
    assert rotated.honoured_previous(NOW + overlap) is None


def test_without_an_overlap_the_old_secret_signs_nothing_more() -> None:
    assert ENDPOINT.rotated("second", NOW, 0).honoured_previous(NOW) is None
    assert ENDPOINT.honoured_previous(NOW) is None


def test_the_secret_before_the_last_is_forgotten() -> None:
    twice = ENDPOINT.rotated("second", NOW, HOUR).rotated("third", NOW + 1, HOUR)
    assert (twice.secret, twice.honoured_previous(NOW + 1)) == ("third", "second")


# -- answers ---------------------------------------------------------------------------------------


@given(kinds, st.booleans())
def test_a_success_is_one_for_its_health(kind: EndpointKind, probe: bool) -> None:
    endpoint = replace(ENDPOINT, kind=kind).responded(REFUSED, NOW, probe=False)
    after = endpoint.responded(OK, NOW, probe=probe)
    assert after.health == endpoint.health.succeeded(NOW)
    assert after.disabled is None


@given(kinds, st.sampled_from([REFUSED, SILENT]), st.booleans())
def test_a_failure_is_one_for_its_health(
    kind: EndpointKind, answer: WebhookResponse, probe: bool
) -> None:
    endpoint = replace(ENDPOINT, kind=kind)
    after = endpoint.responded(answer, NOW, probe=probe)
    assert after.health == endpoint.health.failed(NOW, probe=probe)
    assert after.disabled is None


@pytest.mark.parametrize("kind", [EndpointKind.REGISTERED, EndpointKind.DEFAULT])
def test_410_ends_an_endpoint(kind: EndpointKind) -> None:
    gone = replace(ENDPOINT, kind=kind).responded(GONE, NOW + 7, probe=False)
    assert (gone.disabled, gone.disabled_at) == (Disabled.GONE, NOW + 7)


def test_410_for_a_jobs_own_url_is_that_jobs_matter_and_shows_that_the_receiver_lives() -> None:
    failing = replace(ENDPOINT, kind=EndpointKind.URL)
    for _ in range(5):
        failing = failing.responded(REFUSED, NOW, probe=False)
    after = failing.responded(GONE, NOW, probe=True)
    assert after.disabled is None
    assert (failing.health.open, after.health.open) == (True, False)


def test_who_fails_for_120_hours_is_disabled_and_says_why() -> None:
    failing = ENDPOINT
    for hours in range(0, 120, 10):
        failing = failing.responded(SILENT, NOW + hours * HOUR, probe=True)
        assert failing.disabled is None
    worn_out = failing.responded(SILENT, NOW + 120 * HOUR, probe=True)
    assert (worn_out.disabled, worn_out.disabled_at) == (Disabled.FAILING, NOW + 120 * HOUR)


@pytest.mark.parametrize("answer", [OK, REFUSED, GONE])
def test_why_and_since_when_it_is_disabled_stays_as_it_was(answer: WebhookResponse) -> None:
    off = ENDPOINT.disable(NOW)
    after = off.responded(answer, NOW + 1, probe=False)
    assert (after.disabled, after.disabled_at) == (Disabled.OPERATOR, NOW)


@given(st.lists(st.tuples(st.sampled_from([OK, REFUSED, GONE]), st.integers(0, 30_000))))
def test_there_is_something_to_keep_exactly_when_what_outlives_a_restart_changed(
    answers: list[tuple[WebhookResponse, int]],
) -> None:
    endpoint, now = ENDPOINT, NOW
    for answer, wait in answers:
        now += wait
        before, endpoint = endpoint, endpoint.responded(answer, now, probe=endpoint.health.open)
        kept = [(one.health.kept, one.disabled) for one in (before, endpoint)]
        assert endpoint.same_health_as(before) == (kept[0] == kept[1])


def test_a_healthy_endpoint_that_goes_on_answering_costs_no_write() -> None:
    assert ENDPOINT.responded(OK, NOW, probe=False).same_health_as(ENDPOINT)


# -- on and off ------------------------------------------------------------------------------------


def test_the_operator_disables_and_enables() -> None:
    off = ENDPOINT.disable(NOW)
    assert (off.disabled, off.disabled_at) == (Disabled.OPERATOR, NOW)
    assert off.disable(NOW + 1) is off
    assert off.enable() == replace(ENDPOINT, health_version=1)
    assert ENDPOINT.enable() is ENDPOINT


@given(kinds, st.integers(1, 30))
def test_an_endpoint_that_is_enabled_is_trusted_anew(kind: EndpointKind, failures: int) -> None:
    failing = replace(ENDPOINT, kind=kind)
    for _ in range(failures):
        failing = failing.responded(REFUSED, NOW, probe=True)
    enabled = failing.disable(NOW).enable()
    assert (enabled.health, enabled.disabled, enabled.disabled_at) == (CircuitBreaker(), None, None)


# -- ids and lanes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://h.example/hook?job=1", "https://h.example/hook"),
        ("https://h.example/hook?job=1", "https://h.example/hook?job=2&x=/y"),
        ("https://h.example:443/hook", "https://h.example/hook"),
        ("http://h.example:80/hook", "http://h.example/hook"),
        ("HTTPS://H.Example/hook", "https://h.example/hook"),
        ("https://h.example", "https://h.example/"),
        ("https://h.example?job=1", "https://h.example/"),
        ("https://h.example/hook#part", "https://h.example/hook"),
        ("https://[2001:DB8::A]/hook", "https://[2001:db8::a]:443/hook?job=1"),
    ],
)
def test_an_endpoint_is_scheme_host_port_and_path(url: str, same_as: str) -> None:
    assert url_id(url) == url_id(same_as)
    assert origin_of(url) == origin_of(same_as)


def test_endpoints_differ_by_scheme_host_port_and_path() -> None:
    urls = [
        *("http://h.example/hook", "https://h.example/hook", "https://i.example/hook"),
        *("https://h.example:8443/hook", "https://h.example/Hook", "https://h.example/hook/"),
        *("https://[2001:db8::1]/", "https://[2001:db8::1]:8443/", "https://[2001:db8::2]/"),
        *("https://[2001:db8::1:8443]/", "https://h.example/;v=1", "https://h.example/%2F"),
    ]
    assert len({url_id(url) for url in urls}) == len(urls)


hosts = st.sampled_from(["h.example", "10.0.0.1", "[2001:db8::1]", "[::1]"])
paths = st.lists(st.sampled_from(["a", "B", "%2F", "é", ";v"]), max_size=3).map("/".join)


@given(
    st.sampled_from(["http", "https"]),
    hosts,
    st.integers(1, 65535),
    paths,
    st.text("abc=&/?:@", max_size=9),
)
def test_the_origin_is_a_url_itself_and_the_same_endpoint(
    scheme: str, host: str, port: int, path: str, query: str
) -> None:
    url = f"{scheme}://{host}:{port}/{path}?{query}"
    assert origin_of(url) == f"{scheme}://{host}:{port}/{path}"
    assert origin_of(origin_of(url)) == origin_of(url)
    assert url_id(url) == url_id(origin_of(url))


def test_the_ids_of_stored_endpoints_stay_what_they_are() -> None:
    assert url_id("http://a/") == "url_2756f899e8a6c69499b303c9890e9fb9"
    assert url_id("https://example.com/hook?job=1") == "url_f16bb5c79c9a0660ae7d4dadbdaa53ed"


@given(st.text())
def test_a_lane_is_one_of_the_lanes_and_always_the_same(endpoint: str) -> None:
    assert lane_of(endpoint) in range(LANES)
    assert lane_of(endpoint) == lane_of(endpoint)


def test_the_lanes_of_stored_deliveries_stay_what_they_are() -> None:
    assert LANES == 16
    assert lane_of("http://a:80/") == 6
    assert lane_of("https://example.com:443/hook") == 5


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://App.example.com", "https://app.example.com"),
        ("https://app.example.com:8443/", "https://app.example.com:8443"),
        ("http://[2606:4700::1]:80/", "http://[2606:4700::1]:80"),
        ("https://user:pw@app.example.com/", "https://app.example.com"),
        ("https://app.example.com/hooks/T0/B0?token=1#x", "https://app.example.com"),
    ],
)
def test_of_a_url_only_the_origin_is_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


KEPT, GIVEN = (("X-Key", MASK),), (("X-Key", "other"),)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/hook",
        "https://h.example:8443/hook",
        "http://h.example/hook",
        "http://h.example:443/hook",
        "https://h.example@other.example/hook",
        "https://h.example.other.example/hook",
    ],
)
def test_the_stored_values_of_headers_go_to_no_other_server(url: str) -> None:
    endpoint = replace(ENDPOINT, headers=(("X-Key", "secret"), ("X-Other", "8")))
    for headers in (None, KEPT, (*KEPT, *GIVEN), (*GIVEN, ("X-Other", MASK))):
        with pytest.raises(InvalidRequestError) as refused:
            endpoint.check_headers_stay(url, headers)
        assert refused.value.field == "headers"
        assert "secret" not in refused.value.message
    for other in ((), GIVEN):
        endpoint.check_headers_stay(url, other)
    ENDPOINT.check_headers_stay(url, None)


@pytest.mark.parametrize(
    "url",
    ["https://h.example/hook", "https://H.EXAMPLE:443/other?a=1", "https://user@h.example"],
)
def test_they_stay_with_their_server(url: str) -> None:
    endpoint = replace(ENDPOINT, headers=(("X-Key", "secret"),))
    for headers in (None, KEPT, GIVEN, ()):
        endpoint.check_headers_stay(url, headers)
