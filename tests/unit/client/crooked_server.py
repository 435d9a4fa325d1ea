# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tiny HTTP(S) server that answers what it is told, for answers that the simulator never gives."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Said:
    """One answer; a ``body`` that is no bytes goes out as JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CrookedServer:
    """``answer(method, path, headers)`` decides; ``seen`` holds each request's method, path and headers."""

    url: str = ""
    answer: Callable[[str, str, Mapping[str, str]], Said] = lambda method, path, headers: Said({})
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def says(self, body: Any = None, status: int = 200, **headers: str) -> None:
        """The same answer to everything; ``Retry_After`` in the keywords is the header Retry-After."""
        said = Said(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = lambda method, path, got: said


@contextmanager
def crooked_server(tls: ssl.SSLContext | None = None) -> Iterator[CrookedServer]:
    """A server on a free port until the block ends."""
    room = CrookedServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            room.seen.append((self.command, self.path, dict(self.headers.items())))
            said = room.answer(self.command, self.path, dict(self.headers.items()))
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on stderr."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gives up a handshake is what some tests want."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    room.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield room
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
