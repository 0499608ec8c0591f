"""The text of browser tokens."""

from reelhook.domain.browser_token import BrowserToken, read_browser_token


def test_a_token_is_read_only_with_the_secret_that_signed_it() -> None:
    token = BrowserToken("job_1", "default", "key_1", 17)
    text = token.signed("secret")
    assert read_browser_token(text, "secret") == token
    changed = text[:20] + ("a" if text[20] != "a" else "b") + text[21:]
    for wrong in (changed, text[:-1], "rht_", "rht_é", "rht_!", text + "x" * 2000, f"{text}="):
        assert read_browser_token(wrong, "secret") in {None, token}
    assert read_browser_token(changed, "secret") is None
    assert read_browser_token(text, "other") is None
