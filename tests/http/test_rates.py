"""Rate limits of keys: what is refused, and the headers that say so."""

from reelhook.domain.caller import Rate
from reelhook.doors.rates import RateLimits


def test_a_key_has_its_limit_at_once_and_then_waits() -> None:
    limits, rate = RateLimits(), Rate(2, 3600)
    one, two, three = (limits.count("key_1", [rate]) for _ in range(3))
    assert one.exceeded is two.exceeded is None
    assert one.headers["RateLimit-Policy"] == '"hour";q=2;w=3600'
    assert one.headers["RateLimit"].startswith('"hour";r=1;t=')
    assert two.headers["RateLimit"].startswith('"hour";r=0;t=')
    assert "Retry-After" not in two.headers
    assert three.exceeded == rate
    assert 1790 < int(three.headers["Retry-After"]) <= 1800
    assert "2 requests per hour" in three.message
    assert limits.count("key_2", [rate]).exceeded is None


def test_a_request_that_one_limit_refuses_counts_for_no_other() -> None:
    limits, rates = RateLimits(), [Rate(1, 3600), Rate(10, 24 * 3600)]
    assert limits.count("key_1", rates).exceeded is None
    for _ in range(5):
        refused = limits.count("key_1", rates)
        assert refused.exceeded == rates[0]
    assert refused.headers["RateLimit"].split(", ")[1].startswith('"day";r=9;')
    assert refused.headers["RateLimit-Policy"] == '"hour";q=1;w=3600, "day";q=10;w=86400'
