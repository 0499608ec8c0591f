from reelhook.domain.fingerprint import fingerprint, server_of


def test_servers_and_credentials_are_told_apart_and_neither_is_shown() -> None:
    one = fingerprint("http://gpu:30000/v1", {"Authorization": "Bearer secret"})
    other_key = fingerprint("http://gpu:30000/v1", {"Authorization": "Bearer other"})
    other_server = fingerprint("http://gpu:30001/v1", {"Authorization": "Bearer secret"})
    assert len({one, other_key, other_server}) == 3
    assert server_of(one) == server_of(other_key) != server_of(other_server)
    assert one == fingerprint("http://gpu:30000/v1", {"Authorization": "Bearer secret"})
    assert not any(word in one for word in ("secret", "gpu"))
