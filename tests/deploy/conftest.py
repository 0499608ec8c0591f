from postgres_fixtures import postgres_url  # noqa: F401 - a fixture
