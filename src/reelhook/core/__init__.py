"""The mechanisms that use cases and loops share: recording, facts, signing and wake-ups."""
