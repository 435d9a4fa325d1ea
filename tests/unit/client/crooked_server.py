# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP(S) server with answers that a test defines, for answers that the simulator never gives."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.http_server import QuietHandler, http_server


@dataclass
class Reply:
    """One answer. A ``body`` that is not bytes is sent as JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CrookedServer:
    """``answer(method, path, headers)`` returns the answer. ``seen``: method, path and headers of each request."""

    url: str = ""
    admin_key: str = "some-key"
    answer: Callable[[str, str, Mapping[str, str]], Reply] = lambda method, path, headers: Reply({})
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def says(self, body: Any = None, status: int = 200, **headers: str) -> None:
        """Give the same answer to every request. The keyword ``Retry_After`` sets the header Retry-After."""
        reply = Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = lambda method, path, got: reply

    def advance(self, seconds: float) -> None:
        """The answers do not depend on the time."""


@contextmanager
def crooked_server(tls: ssl.SSLContext | None = None) -> Iterator[CrookedServer]:
    """A server on a free port until the block ends."""
    stub = CrookedServer()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.seen.append((self.command, self.path, dict(self.headers.items())))
            reply = stub.answer(self.command, self.path, dict(self.headers.items()))
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

    with http_server(Handler, tls) as stub.url:
        yield stub
