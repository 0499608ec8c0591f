"""Any JSON, shaped somewhat like what a provider says, to throw at an adapter."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

STATUSES = [200, 200, 200, 201, 204, 302, 400, 401, 402, 403, 404, 405, 409, 422, 429, 500, 503]


def anything(words: Sequence[str]) -> st.SearchStrategy[object]:
    """Return any JSON; `words` stand in it now and then."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(10**300, 10**400)
        | st.floats()
        | st.text(st.characters())  # lone surrogates too
        | st.sampled_from([*words, "http://h/", "http://h/v.mp4", "http://[", "inf", "nan"]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )


def bodies(names: Sequence[str], words: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Return bodies, most of them objects with these names."""
    leaves = anything(words)

    def shaped(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        return st.dictionaries(st.sampled_from(list(names)), inner | leaves, max_size=8)

    deep = shaped(shaped(leaves) | st.lists(shaped(leaves), max_size=3))
    return (leaves | deep).map(lambda body: json.dumps(body).encode())
