"""The rules of reelhook as pure values and functions: no IO, no clock, no randomness."""
