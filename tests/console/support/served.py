# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A console served by ``python -m console serve`` for tests and benchmarks, with the CPU and memory of its process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
_TICKS, _PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Served:
    """A running console: its address, its process and its log file."""

    url: str
    pid: int
    log: Path

    def cpu(self) -> float:
        """CPU seconds of the process so far, including ended threads, in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Resident bytes of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def free_port() -> int:
    """A free local port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    database: Path, run_logs: Path, environment: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[Served]:
    """Serve ``database`` on ``port`` or a free port until the block ends. FLEETOPS_* variables are not inherited.

    Raises RuntimeError with the log if the server ends early or does not answer within 180 s.
    """
    port = port or free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLEETOPS_")}
    own = {"FLEETOPS_CONSOLE_DB": str(database), "FLEETOPS_RUN_LOG_DIR": str(run_logs)}
    log = database.with_suffix(".log")
    # The output goes to a file, because a full pipe would block the server.
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "console", "serve", "--port", str(port)],
            cwd=CHECKOUT,
            env={**kept, **own, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, server, log)
        yield Served(url, server.pid, log)
    finally:
        server.terminate()
        server.wait(60)


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"the console did not start:\n{log.read_text()}")


def upgrade_answer(port: int, host: str) -> str:
    """The first line of the WebSocket's answer to a page of ``host``."""
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request.encode())
        return line.recv(200).decode(errors="replace").partition("\r\n")[0]
