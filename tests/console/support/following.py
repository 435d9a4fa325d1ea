# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running ``sync --follow``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Following:
    """A running `sync --follow`; ``said`` is its standard error so far."""

    def __init__(self, database: Path, *arguments: str, **environment: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FLEETOPS_")}
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "console", "sync", "--follow", "--quiet", "--db", str(database), *arguments],
            cwd=ROOT,
            env={**kept, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()), daemon=True)
        self._reader.start()

    def has_said(self, part: str) -> bool:
        assert self.process.poll() is None, self.said
        return any(part in line for line in self.said)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code. Its output has been read then."""
        self.process.send_signal(number)
        code = self.process.wait(120)
        self._reader.join(60)
        return code


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
