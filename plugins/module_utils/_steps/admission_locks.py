# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Admission of redeploys: never more in flight than the policy allows, counted over the server and this machine.

``throttle`` alone cannot promise that (a lowered policy takes effect one host late), and looking before sending is a
race between Ansible's workers. So they take turns: a byte of one lock file per redeploy in flight, counted under a
lock. POSIX locks vanish with the process that holds them, so a killed run leaves nothing behind.

Of those that wait for a place only the first one looks, and who gives a place back sets the time of the file, which
ends the pause of the first one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import base_url
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key

# Byte 0 is the turn, 1 to 1022 are redeploys in flight; 1024 bytes further stands whether the server lists it not yet.
# Byte 1023 is held by the first of those that wait. From byte 2048 on stand claims, one of each thing that a task is
# about to write to.
_TURN = 0
_FIRST = 1023
_SEATS = 1024
_CLAIMS = 2 * _SEATS
# What the file holds, a seat: so many bytes with the name of its redeploy. The locks are on other bytes, by number.
_NAME = 64
# Seconds between two looks at the lock file while waiting; they ask no server.
_LOOKS_EVERY = 0.2


class AdmissionError(Exception):
    """The lock file cannot be used; the message says why and what to do."""


class Admission:
    """The redeploys that this machine has in flight at one server. Raises SettingsError if ``api_url`` is none.

    Once ``enter()`` has answered True this process counts as one of them, until ``leave()`` or its end. ``allowed`` is
    how many may be, as it was looked up the last time.
    """

    def __init__(self, api_url: str) -> None:
        self._name = f"{name_of_server(api_url)}.lock"
        self._descriptor: int | None = None
        self._seat: int | None = None
        self.allowed: int | None = None

    def claim(self, name: str) -> bool:
        """Keep other tasks of this machine from claiming ``name`` until ``leave()``; False if one has.

        An instance's id, in any spelling, stands for its redeploy; other names are those of _claimed.
        """
        number = int.from_bytes(hashlib.sha256(id_key(name).encode()).digest()[:6], "big")
        return _try_lock(self._open(), _CLAIMS + number)

    def enter(
        self, look: Callable[[int], tuple[int, int]], is_listed: Callable[[str], bool] = lambda _name: False
    ) -> bool:
        """Take a seat if one is free: ``look(seats)`` gives (in flight at the server, allowed), read while nobody else
        may, where ``seats`` are taken on this machine.

        Redeploys of this machine that the server does not list yet are added to its count; of those that have a name
        (see ``found``) ``is_listed(name)`` tells, asked after ``look``. What ``look`` raises goes to the caller.
        """
        descriptor = self._open()
        with _turn(descriptor):
            held = _held_by_others(descriptor, 1, _FIRST)
            kept: int | None = None
            try:
                # Before the list is read: a redeploy that is listed in between counts twice, and never not at all.
                unlisted = [_name_at(descriptor, seat) for seat in held if _is_locked(descriptor, _SEATS + seat)]
                in_flight, allowed = look(len(held))
                self.allowed = allowed
                hidden = sum(not (name and is_listed(name)) for name in unlisted)
                free = next((seat for seat in range(1, _FIRST) if seat not in held), None)
                if free is not None and max(in_flight + hidden, len(held)) < allowed:
                    self._seat = kept = free
                    self.found("")
                    _try_lock(descriptor, _SEATS + free)
            finally:
                _unlock_but(descriptor, 1, _FIRST, kept)
        return kept is not None

    def found(self, name: str) -> None:
        """Say by which name the server will list this redeploy; so another task knows it in the list before this one
        has looked there. At most 64 bytes."""
        if self._descriptor is not None and self._seat is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, name.encode()[:_NAME].ljust(_NAME, b"\0"), self._seat * _NAME)

    def listed(self) -> None:
        """The server's list shows this redeploy, so it is counted there from now on."""
        if self._descriptor is not None and self._seat is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _SEATS + self._seat)
            self._wake()

    @property
    def seated(self) -> bool:
        """Whether this process counts as one of the redeploys in flight."""
        return self._seat is not None

    def is_first(self) -> bool:
        """Whether no other process waits for a place before this one; so it stays until ``give_up_first()``."""
        return _try_lock(self._open(), _FIRST)

    def give_up_first(self) -> None:
        """Let another process be the first one that waits."""
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _FIRST)

    def pause(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait for a place up to ``seconds``; ends early for the first one that waits when a place is given back."""
        descriptor = self._open()
        before, was_first, left = os.fstat(descriptor).st_mtime_ns, self.is_first(), seconds
        while left > 0:
            slice_of = min(left, _LOOKS_EVERY, seconds / 4)
            sleep(slice_of)
            left -= slice_of
            if self.is_first() and (not was_first or os.fstat(descriptor).st_mtime_ns != before):
                return

    def give_back(self) -> None:
        """Give the seat back and keep the claim: what it stood for is in flight no more."""
        if self._descriptor is not None and self._seat is not None:
            for byte in (self._seat, _SEATS + self._seat):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
            self._seat = None
            self._wake()

    def leave(self) -> None:
        """Give the seat and the claim back."""
        self.give_back()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wake(self) -> None:
        """End the pause of the first one that waits."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def _open(self) -> int:
        if self._descriptor is None:
            path = lock_folder() / self._name
            try:
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as failure:
                raise AdmissionError(f"the lock file {path} cannot be opened: {failure.strerror}") from None
        return self._descriptor


def name_of_server(api_url: str) -> str:
    """What the files of one server begin with, however its address is spelled; upper case only merges more."""
    return hashlib.sha256(base_url(api_url).lower().encode()).hexdigest()[:16]


@contextlib.contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _TURN)
    except OSError as failure:
        raise AdmissionError(f"the folder of the lock file takes no locks: {failure.strerror}") from None
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _TURN)


def _held_by_others(descriptor: int, first: int, after: int) -> set[int]:
    """The bytes from ``first`` up to ``after`` that other processes hold. Locks all others.

    A range is tried as a whole, and halved where somebody holds a part of it: most are free.
    """
    if _try_lock(descriptor, first, after - first):
        return set()
    if after - first == 1:
        return {first}
    middle = (first + after) // 2
    return _held_by_others(descriptor, first, middle) | _held_by_others(descriptor, middle, after)


def _unlock_but(descriptor: int, first: int, after: int, kept: int | None) -> None:
    """Unlock the bytes from ``first`` up to ``after`` but the one that is ``kept``."""
    parts = [(first, after)] if kept is None else [(first, kept), (kept + 1, after)]
    for start, end in parts:
        # A length of 0 would mean the rest of the file.
        if end > start:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, end - start, start)


def _try_lock(descriptor: int, first: int, length: int = 1) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
    except OSError as failure:
        if failure.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise AdmissionError(f"the folder of the lock file takes no locks: {failure.strerror}") from None
    return True


def _name_at(descriptor: int, seat: int) -> str:
    try:
        return os.pread(descriptor, _NAME, seat * _NAME).rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""


def _is_locked(descriptor: int, byte: int) -> bool:
    """Whether another process holds a byte."""
    if not _try_lock(descriptor, byte):
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
    return False


def lock_folder() -> Path:
    """A folder of this user alone, on a local file system. Raises AdmissionError."""
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
