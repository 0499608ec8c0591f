"""xAI: Grok Imagine."""
