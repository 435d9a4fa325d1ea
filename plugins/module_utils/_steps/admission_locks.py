# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Admission of redeploys: never more in flight than the policy allows, counted over the server and this machine.

``throttle`` alone cannot promise that (a lowered policy takes effect one host late), and looking before sending is a
race between Ansible's workers. So they take turns: a byte of one lock file per redeploy in flight, counted under a
lock. POSIX locks vanish with the process that holds them, so a killed run leaves nothing behind.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import base_url
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key

# Byte 0 is the turn, 1 to 1023 are redeploys in flight; 1024 bytes further stands whether the server lists it not yet.
# From byte 2048 on stand claims, one of each thing that a task is about to write to.
_TURN = 0
_SEATS = 1024
_CLAIMS = 2 * _SEATS


class AdmissionError(Exception):
    """The lock file cannot be used; the message says why and what to do."""


class Admission:
    """The redeploys that this machine has in flight at one server. Raises SettingsError if ``api_url`` is none.

    Once ``enter()`` has answered True this process counts as one of them, until ``leave()`` or its end. ``allowed`` is
    how many may be, as it was looked up the last time.
    """

    def __init__(self, api_url: str) -> None:
        # However the address is spelled, one server has one file; upper case only merges more.
        self._name = f"{hashlib.sha256(base_url(api_url).lower().encode()).hexdigest()[:16]}.lock"
        self._descriptor: int | None = None
        self._seat: int | None = None
        self.allowed: int | None = None

    def claim(self, name: str) -> bool:
        """Keep other tasks of this machine from claiming ``name`` until ``leave()``; False if one has.

        An instance's id, in any spelling, stands for its redeploy; other names are those of _claimed.
        """
        number = int.from_bytes(hashlib.sha256(id_key(name).encode()).digest()[:6], "big")
        return _try_lock(self._open(), _CLAIMS + number)

    def enter(self, look: Callable[[], tuple[int, int]]) -> bool:
        """Take a seat if one is free: ``look()`` gives (in flight at the server, allowed), read while nobody else may.

        Redeploys of this machine that the server does not list yet are added to its count. What ``look`` raises goes
        to the caller.
        """
        descriptor = self._open()
        with _turn(descriptor):
            free = [seat for seat in range(1, _SEATS) if _try_lock(descriptor, seat)]
            try:
                held = set(range(1, _SEATS)).difference(free)
                # Before the list is read: a redeploy that is listed in between counts twice, and never not at all.
                unlisted = sum(_is_locked(descriptor, _SEATS + seat) for seat in held)
                in_flight, allowed = look()
                self.allowed = allowed
                entered = bool(free) and max(in_flight + unlisted, len(held)) < allowed
                if entered:
                    self._seat = free.pop(0)
                    _try_lock(descriptor, _SEATS + self._seat)
            finally:
                for seat in free:
                    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, seat)
        return entered

    def listed(self) -> None:
        """The server's list shows this redeploy, so it is counted there from now on."""
        if self._descriptor is not None and self._seat is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _SEATS + self._seat)

    def leave(self) -> None:
        """Give the seat back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = self._seat = None

    def _open(self) -> int:
        if self._descriptor is None:
            path = _folder() / self._name
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as failure:
                raise AdmissionError(f"the lock file {path} cannot be opened: {failure.strerror}") from None
        return self._descriptor


@contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _TURN)
    except OSError as failure:
        raise AdmissionError(f"the folder of the lock file takes no locks: {failure.strerror}") from None
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _TURN)


def _try_lock(descriptor: int, seat: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, seat)
    except OSError as failure:
        if failure.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise AdmissionError(f"the folder of the lock file takes no locks: {failure.strerror}") from None
    return True


def _is_locked(descriptor: int, byte: int) -> bool:
    """Whether another process holds a byte."""
    if not _try_lock(descriptor, byte):
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
    return False


def _folder() -> Path:
    """A folder of this user alone, on a local file system."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    folder = base / f"fleetops-agents-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as failure:
        raise AdmissionError(f"the folder {folder} for lock files cannot be made: {failure.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise AdmissionError(f"{folder} belongs to somebody else; remove it or set TMPDIR to a folder of your own")
    return folder
