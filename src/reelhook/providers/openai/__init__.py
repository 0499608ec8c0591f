"""Servers that speak the /v1/videos protocol of OpenAI."""
