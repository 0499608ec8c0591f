"""Creating jobs at providers, once, and finding out what became of lost creates."""
