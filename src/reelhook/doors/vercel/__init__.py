"""The wire of Vercel's AI Gateway, as the `ai` package calls it."""
