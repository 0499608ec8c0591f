"""What an error says, in words that fit into a sentence of ours."""

WORDS_MAX = 300


def words_of(error: BaseException) -> str:
    """Return what an error says, in one line; those of time say nothing."""
    words = " ".join(str(error).partition("\n")[0].split()) or "it did not answer in time"
    return words if len(words) <= WORDS_MAX else words[:WORDS_MAX] + "..."
