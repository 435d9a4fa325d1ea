# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP client that returns the received bytes, and whether the connection was closed or reset."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.simulator.running import Simulator


@dataclass(frozen=True)
class RawResponse:
    """`status` is None if no response arrived; `reset`: the peer sent RST; `body`: the part that arrived."""

    status: int | None
    headers: dict[str, str]
    body: bytes
    reset: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(sim: Simulator, method: str, path: str, body: Any = None, key: str | None = "") -> RawResponse:
    """Send one request on a new connection (Connection: close), by default with the admin key."""
    where = urlsplit(sim.url)
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {where.netloc}", "Connection: close"]
    lines += [f"Content-Length: {len(payload)}"] if payload else []
    lines += [] if key is None else [f"X-Api-Key: {key or sim.admin_key}"]
    lines += ["Content-Type: application/json"] if payload else []
    received, reset = b"", False
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=20) as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        try:
            while piece := line.recv(65536):
                received += piece
        except ConnectionResetError:
            reset = True
    head, _dummy, rest = received.partition(b"\r\n\r\n")
    if not head:
        return RawResponse(None, {}, b"", reset)
    first, *others = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _dummy, value in (other.partition(":") for other in others)}
    return RawResponse(int(first.split()[1]), headers, rest, reset)
