from postgres_fixtures import own_postgres, postgres_url  # noqa: F401 - fixtures
