"""A wire to PostgreSQL that breaks after so many bytes, wherever in a message that is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from tests.conftest import DatabaseUrls

AT_ONCE = 65_536


@contextmanager
def breaking_wire(urls: DatabaseUrls, lengths: Callable[[], tuple[int, int]]) -> Iterator[DatabaseUrls]:
    """The same database behind the wire. `lengths` says for each new connection how many bytes go to the server and
    back before it breaks; it breaks at whichever comes first.
    """
    place = dict(parse_qsl(urlsplit(urls.app_url).query))
    server = f"{place['host']}/.s.PGSQL.{place['port']}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, server, lengths), daemon=True).start()
        place |= {"host": "127.0.0.1", "port": str(listening.getsockname()[1])}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in place.items())
        yield replace(urls, app_url=urlunsplit(urlsplit(urls.app_url)._replace(query=query)))
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, server: str, lengths: Callable[[], tuple[int, int]]) -> None:
    with suppress(OSError):  # the end
        while True:
            client, _ = listening.accept()
            behind = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            behind.connect(server)
            for source, target, length in zip((client, behind), (behind, client), lengths(), strict=True):
                threading.Thread(target=_pass_on, args=(source, target, length), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, length: int) -> None:
    """Until that many bytes have gone through, or either end has closed; then both are closed."""
    with suppress(OSError):
        while length > 0 and (data := source.recv(min(AT_ONCE, length))):
            target.sendall(data)
            length -= len(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
