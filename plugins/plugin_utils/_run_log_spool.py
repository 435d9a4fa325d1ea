# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of one recorded run: one JSON line an event, a lock that says the run is alive."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path


def default_folder(environ: Mapping[str, str]) -> Path:
    """``$XDG_STATE_HOME/fleetops/runs``; a relative or missing XDG_STATE_HOME means ~/.local/state.

    Raises RuntimeError when there is no home directory either.
    """
    state = environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "fleetops" / "runs"


class Spool:
    """A new file ``<YYYYmmddTHHMMSSZ>-<run_id>.jsonl`` (0600) in ``folder`` (made 0700 when missing).

    Each line is one ``os.write`` on an O_APPEND descriptor, so what was written survives a kill -9.
    An exclusive POSIX record lock is held until ``close`` or the end of the process. Forked workers do not inherit
    it. Any other descriptor of this file closed in this process would drop it: the file is opened here only.
    """

    def __init__(self, folder: Path, run_id: str, started: datetime) -> None:
        """Create and lock the file. Raises OSError when that is impossible."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{started:%Y%m%dT%H%M%SZ}-{run_id}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self.path, flags, 0o600)
        self._size = 0
        self._torn = False
        self.lock_error: OSError | None = None
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # a file system without locks: the record is still worth having
            self.lock_error = error

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def check_name(self) -> None:
        """Close the file and raise FileNotFoundError when it was removed: nobody would ever read it."""
        if os.fstat(self._fd).st_nlink == 0:
            self.close()
            raise FileNotFoundError(2, "the file was removed during the run", str(self.path))

    def append(self, line: bytes) -> None:
        """Write ``line`` (without its newline). Raises OSError; the file then still ends with a whole line."""
        data = b"\n" + line + b"\n" if self._torn else line + b"\n"
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
        except OSError:
            self._cut_back(written)
            raise
        self._size += len(data)
        self._torn = False

    def _cut_back(self, written: int) -> None:
        """Take away the beginning of a line whose rest found no room."""
        if not written:
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._size += written
            self._torn = True

    def close(self) -> None:
        """End the record and free the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
