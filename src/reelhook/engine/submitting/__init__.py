"""Creates jobs at providers exactly once, and resolves creates that got no response."""
