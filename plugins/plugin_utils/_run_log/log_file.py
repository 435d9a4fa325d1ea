# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of one recorded run: one JSON line for each event, and a lock that shows that the run is alive."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import resource
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import make_private

# The name of a run log, with the start of the run and its id.
NAME = re.compile(r"(?P<at>\d{8}T\d{6}Z)-(?P<run_id>[\w.-]+)\.jsonl")
# Bytes that are reserved for the recap of a run whose hosts are not known yet.
MIN_RESERVE = 8192
_BLOCK = b"." * 65536


def open_to_others(folder: Path) -> str | None:
    """A sentence if other users can add files to ``folder`` or remove them, else None. Raises OSError."""
    found = folder.stat()
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return (
            f"the run log folder {folder} has mode {stat.S_IMODE(found.st_mode):04o}: other users can add and remove"
            f" files there; run chmod 700 {folder} to prevent that"
        )
    return None


class LogFile:
    """A new file ``<YYYYmmddTHHMMSSZ>-<run_id>.jsonl`` with mode 0600 in ``folder``, which is created if missing.

    Each line is one ``os.write`` to an O_APPEND descriptor, so written lines survive a kill -9. An exclusive POSIX lock
    is held until ``close`` or the end of the process. Forked workers do not inherit it. The lock would end if the
    process closed any other descriptor of the file, so the file is opened only here.

    For ``append_last``, a second file without a name reserves bytes on the disk. ``remark``: a sentence about
    the folder that its owner should know, or None. ``lock_error``: why the file could not be locked, or None.
    """

    def __init__(self, folder: Path, run_id: str, started: datetime) -> None:
        """Create and lock the file. Raises OSError if it cannot be created."""
        make_private(folder)
        self.path = folder / f"{started:%Y%m%dT%H%M%SZ}-{run_id}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._pid = os.getpid()
        self._fd = os.open(self.path, flags, 0o600)
        os.fchmod(self._fd, 0o600)
        self._size = 0
        self._torn = False
        self.remark = open_to_others(folder)
        self.lock_error: OSError | None = None
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # The file system has no locks. The run is recorded nevertheless.
            self.lock_error = error
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        self._longest = None if limit == resource.RLIM_INFINITY else limit
        self._reserve_fd, self._reserved = -1, 0
        self.reserve(MIN_RESERVE)

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def check_name(self) -> None:
        """Close the file and raise FileNotFoundError if it was removed, since nobody could read it later."""
        if os.fstat(self._fd).st_nlink == 0:
            self.close()
            raise FileNotFoundError(2, "the file was removed during the run", str(self.path))

    def reserve(self, size: int) -> None:
        """Reserve ``size`` bytes on the disk for ``append_last``, or as many as possible. Never reduces them."""
        if self._fd < 0 or size <= self._reserved:
            return
        with suppress(OSError):
            if self._reserve_fd < 0:
                self._reserve_fd = _nameless(self.path)
            while self._reserved < size:
                self._reserved += os.write(self._reserve_fd, _BLOCK[: size - self._reserved])

    def append(self, line: bytes) -> None:
        """Write ``line`` (without its newline). Raises OSError; the file then still ends with a complete line."""
        # A limit on the size of files applies to each file separately, so this file leaves room for the reserve.
        if self._longest is not None and self._size + len(line) + 2 + self._reserved > self._longest:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self._write(line)

    def append_last(self, line: bytes) -> None:
        """Write ``line`` as ``append`` does. On a full disk, the reserved room is used."""
        try:
            self._write(line)
        except OSError:
            if self._reserve_fd < 0:
                raise
            # Forked workers may also have the file open, so closing it would not free the room.
            os.ftruncate(self._reserve_fd, 0)
            self._write(line)

    def _write(self, line: bytes) -> None:
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
        """Remove the beginning of a line whose end could not be written."""
        if not written:
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._size += written
            self._torn = True

    def close(self) -> None:
        """End the record and free the lock and the reserved room."""
        if self._reserve_fd >= 0:
            # Only this process frees the room. A forked worker only closes its own descriptor.
            if os.getpid() == self._pid:
                with suppress(OSError):
                    os.ftruncate(self._reserve_fd, 0)
            os.close(self._reserve_fd)
            self._reserve_fd = -1
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _nameless(beside: Path) -> int:
    """The descriptor of a new file without a name, on the file system of ``beside``. Closing it removes the file."""
    path = beside.with_suffix(".reserve")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    path.unlink()
    return fd
