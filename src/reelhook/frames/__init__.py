"""Makes posters, last frames and facts of videos, in a process of their own."""
