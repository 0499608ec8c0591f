"""A bucket of moto's S3 server."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

BUCKET = "videos"
CREDENTIALS = {
    "AWS_ALLOW_HTTP": "true",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
}


@contextmanager
def moto_bucket() -> Iterator[str]:
    """Serve an empty bucket on loopback until the block ends; yield the server's URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()  # noqa: S310 - our own server
        urlopen(Request(f"{url}/{BUCKET}", method="PUT")).close()  # noqa: S310 - as above
        yield url
    finally:
        server.stop()


def variables(url: str) -> dict[str, str]:
    """Return the variables that obstore reads, for this server."""
    return {"AWS_ENDPOINT_URL": url, **CREDENTIALS}
