"""OpenAI's Videos API, as its official SDKs call it."""
