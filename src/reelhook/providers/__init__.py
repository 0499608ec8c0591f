"""One adapter per provider, and what they share: the paid POST, reads, downloads, refusals."""
