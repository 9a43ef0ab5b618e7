"""A time-stamping authority of the tests' own: openssl behind a small web server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

_CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamping]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = {essential}
"""


@dataclass(frozen=True, slots=True)
class TimeAuthority:
    """Where it is asked, and the file of its root certificate."""

    url: str
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"


@contextmanager
def time_authority(folder: Path, *, essential: str = "sha256") -> Iterator[TimeAuthority]:
    """An authority with keys of its own in this folder."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    folder.mkdir(parents=True)
    (folder / "serial").write_text("01")
    _make_certificates(folder, essential)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = folder / "query"
            query.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            _openssl(folder, "ts", "-reply", "-config", "ca.cnf", "-queryfile", "query", "-out", "answer")
            answer = (folder / "answer").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield TimeAuthority(f"http://127.0.0.1:{server.server_port}/", folder)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _make_certificates(folder: Path, essential: str) -> None:
    text = _CONFIGURATION.format(folder=folder, name="root of the tests", essential=essential)
    (folder / "ca.cnf").write_text(text)
    for name in ("root", "signer"):
        _openssl(folder, "genrsa", "-out", f"{name}.key", "2048")
    new = ["req", "-new", "-config", "ca.cnf", "-key"]
    _openssl(folder, *new, "root.key", "-x509", "-extensions", "root", "-days", "30", "-out", "root.pem")
    (folder / "ca.cnf").write_text(text.replace("root of the tests", "time stamps of the tests"))
    _openssl(folder, *new, "signer.key", "-out", "signer.csr")
    issued = ["-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "30", "-out", "signer.pem"]
    _openssl(folder, "x509", "-req", "-in", "signer.csr", "-extfile", "ca.cnf", "-extensions", "stamping", *issued)


def _openssl(folder: Path, *arguments: str) -> None:
    ran = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
