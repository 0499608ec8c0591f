"""Creates jobs at providers, once, and finds out what became of creates without a response."""
