"""The proxies of `deploy/`, each by its file, on free ports and with a certificate of ours."""

import contextlib
import datetime
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.processes import ROOT, free_port

DEPLOY = ROOT / "deploy"
NAME = "video.example.com"
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
_SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running one: `url` leads to it, its certificate is for `NAME`."""

    name: str
    url: str
    log: Path
    pid: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a proxy is started with: where it listens, what is behind it, where its files are."""

    folder: Path
    port: int
    plain_port: int
    upstream: int

    @property
    def chain(self) -> Path:
        return self.folder / "chain.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


def replaced(file: str, place: Place, changes: Mapping[str, str]) -> Path:
    """Write a file of `deploy/` with other ports and paths; each change must have its place."""
    text = (DEPLOY / file).read_text()
    for old, new in {"127.0.0.1:3001": f"127.0.0.1:{place.upstream}", **changes}.items():
        if old not in text:
            raise ValueError(f"deploy/{file} has no {old!r}")
        text = text.replace(old, new)
    path = place.folder / file
    path.write_text(text)
    return path


def _nginx(place: Place, program: str) -> Sequence[str]:
    live = f"/etc/letsencrypt/live/{NAME}"
    site = replaced(
        "nginx.conf",
        place,
        {
            "    listen [::]:80;\n": "",  # not every machine has IPv6
            "    listen [::]:443 ssl http2;\n": "",
            "listen 80;": f"listen 127.0.0.1:{place.plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{place.port} ",
            f"{live}/fullchain.pem": str(place.chain),
            f"{live}/privkey.pem": str(place.key),
        },
    )
    return _nginx_command(place, program, f"include {site};")


def _bare_nginx(place: Place, program: str) -> Sequence[str]:
    """As many begin: a bare `proxy_pass`, which speaks HTTP/1.0 to the server."""
    tls = f"ssl_certificate {place.chain}; ssl_certificate_key {place.key};"
    server = (
        f"server {{ listen 127.0.0.1:{place.port} ssl http2; {tls} client_max_body_size 8m; "
        f"location / {{ proxy_pass http://127.0.0.1:{place.upstream}; }} }}"
    )
    return _nginx_command(place, program, server)


def _nginx_command(place: Place, program: str, http: str) -> Sequence[str]:
    own = " ".join(
        f"{what}_temp_path {place.folder}/{what};"
        for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = place.folder / "main.conf"
    path.write_text(
        f"daemon off; pid {place.folder}/nginx.pid; error_log stderr warn; worker_processes 1;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; {own} {http} }}\n"
    )
    return [program, "-p", str(place.folder), "-e", "stderr", "-c", str(path)]


def _haproxy(place: Place, program: str) -> Sequence[str]:
    both = place.folder / "both.pem"
    both.write_bytes(place.chain.read_bytes() + place.key.read_bytes())
    path = replaced(
        "haproxy.cfg",
        place,
        {
            # Only root can become another user.
            "    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n": "",
            "bind :::80 v4v6": f"bind 127.0.0.1:{place.plain_port}",
            "bind :::443 v4v6": f"bind 127.0.0.1:{place.port}",
            f"/etc/haproxy/{NAME}.pem": str(both),
        },
    )
    return [program, "-db", "-f", str(path)]


def _caddy(place: Place, program: str) -> Sequence[str]:
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
    path = replaced(
        "Caddyfile",
        place,
        {
            f"{NAME} {{\n": f"https://{NAME}:{place.port} {{\n\tbind 127.0.0.1\n"
            f"\ttls {place.chain} {place.key}\n",
        },
    )
    path.write_text(options + path.read_text())
    return [program, "run", "--config", str(path), "--adapter", "caddyfile"]


def _traefik(place: Place, program: str) -> Sequence[str]:
    # Instead of a certificate from the Internet, one of ours.
    tls = f"tls:\n  certificates:\n    - certFile: {place.chain}\n      keyFile: {place.key}\n"
    routes = replaced(
        "traefik-reelhook.yaml",
        place,
        {"      tls:\n        certResolver: letsencrypt\n": "      tls: {}\n"},
    )
    routes.write_text(routes.read_text() + tls)
    text = (DEPLOY / "traefik.yaml").read_text()
    path = replaced_static(text, place, routes)
    return [program, f"--configFile={path}"]


def replaced_static(text: str, place: Place, routes: Path) -> Path:
    acme = text[text.index("certificatesResolvers:") :]
    changes = {
        acme: "log:\n  level: WARN\n",
        'address: ":80"': f'address: "127.0.0.1:{place.plain_port}"',
        'address: ":443"': f'address: "127.0.0.1:{place.port}"',
        "/etc/traefik/traefik-reelhook.yaml": str(routes),
    }
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"deploy/traefik.yaml has no {old!r}")
        text = text.replace(old, new)
    path = place.folder / "traefik.yaml"
    path.write_text(text)
    return path


COMMANDS: Mapping[str, tuple[str, Callable[[Place, str], Sequence[str]]]] = {
    "nginx": ("nginx", _nginx),
    "bare nginx": ("nginx", _bare_nginx),
    "HAProxy": ("haproxy", _haproxy),
    "Caddy": ("caddy", _caddy),
    "Traefik": ("traefik", _traefik),
}
OURS = ("nginx", "HAProxy", "Caddy", "Traefik")
"""Those that `deploy/` has a file for."""


def program_of(name: str) -> str | None:
    """Return where a proxy's program is; None where there is none."""
    beside = os.pathsep.join(
        [os.environ.get("PATH", ""), _SYSTEM_PATH, str(Path(sys.executable).parent)]
    )
    return shutil.which(COMMANDS[name][0], path=beside)


@contextlib.contextmanager
def proxy(name: str, folder: Path, upstream: int) -> Iterator[Proxy]:
    """Run a proxy before the server at this port of 127.0.0.1 until the block ends."""
    program = program_of(name)
    if program is None:
        raise RuntimeError(f"{name} is not installed: apt-get install nginx haproxy caddy")
    folder.mkdir(parents=True)
    place = Place(folder, free_port(), free_port(), upstream)
    _certificate(place)
    command = COMMANDS[name][1](place, program)
    log = folder / "log"
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), **home},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        _await_port(process, place.port, log)
        yield Proxy(name, f"https://127.0.0.1:{place.port}", log, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    told = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"The proxy did not start (exit {process.poll()}):\n{told}")


def _certificate(place: Place) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    place.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
