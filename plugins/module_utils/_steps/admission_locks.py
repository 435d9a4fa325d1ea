# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Admission of redeploys: never more in flight than the policy allows, counted on the server and on this machine.

``throttle`` alone cannot ensure that, because a lowered policy takes effect one host late. If each of Ansible's workers
counted before it sends, several could send at once. So the workers take turns. Each redeploy in flight locks a byte of
one file (its seat), and the bytes are counted under a lock. POSIX locks end with the process that holds them, so a
killed run leaves nothing behind.

Only the first of the processes that wait for a seat counts. In a stream it is the one that comes first in the plan, see
admission_queue.py. A process that gives its seat back sets the time of the file, which ends the pause of the first one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .._client.transport import base_url
from .._rules.ids import id_key
from .admission_queue import Queue, try_lock

# The bytes that are locked. Byte 0: whose turn it is. 1 to 1022: the seats, one for each redeploy in flight. The byte
# 1024 further on: the server does not list this redeploy yet. 1023: the first process that waits for a seat. From 2048
# on: claims, one for each object that a task is about to write to.
_TURN = 0
_FIRST = 1023
_SEATS = 1024
_CLAIMS = 2 * _SEATS
# The content of the file: for each seat, this many bytes with the name of its redeploy. Locks do not depend on content.
_NAME = 64
# Here systemd creates a folder for each user. In a login session, XDG_RUNTIME_DIR names it.
_RUNTIME_FOLDERS = Path("/run/user")
# Seconds between two checks of the lock file while a process waits. They do not call the server.
_LOOKS_EVERY = 0.2


class AdmissionError(Exception):
    """The lock file cannot be used. The message says why, and what to do, without the full stop at its end."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}. Set XDG_RUNTIME_DIR to a folder of your own, on a local disk, that can be written to")


class Admission:
    """The redeploys of this machine that are in flight on one server. Raises SettingsError for an invalid ``api_url``.

    After ``enter()`` has returned True, this process counts as one of them until ``leave()`` or its end. ``allowed``:
    how many there may be, by the last reading. ``queue``: the order of the processes that wait; without it, it is not
    determined. All methods raise AdmissionError.
    """

    def __init__(self, api_url: str, queue: Queue | None = None) -> None:
        self._name = f"{name_of_server(api_url)}.lock"
        self._queue = queue
        self._descriptor: int | None = None
        self._seat: int | None = None
        self.allowed: int | None = None
        # Whether a process that comes earlier in the queue was waiting too, by the last is_first().
        self.is_behind = False

    def claim(self, name: str) -> bool:
        """Prevent other tasks of this machine from claiming ``name`` until ``leave()``; False if another one has it.

        The id of an instance, in any spelling, is the name for its redeploy. For other names, see claimed.py.
        """
        number = int.from_bytes(hashlib.sha256(id_key(name).encode()).digest()[:6], "big")
        return _try_lock(self._open(), _CLAIMS + number)

    def enter(
        self, look: Callable[[int], tuple[int, int]], is_listed: Callable[[str], bool] = lambda _name: False
    ) -> bool:
        """Take a seat if one is free, and return whether this process has one now.

        ``look(seats)``, given how many seats of this machine are taken, returns how many redeploys are in flight on the
        server and how many are allowed. Only one process at a time calls it. Redeploys of this machine that the server
        does not list yet are added. If such a redeploy has a name (see ``found``), ``is_listed(name)``, called after
        ``look``, says whether the list has it by now. What ``look`` raises goes to the caller.
        """
        descriptor = self._open()
        with _turn(descriptor):
            held = _held_by_others(descriptor, 1, _FIRST)
            kept: int | None = None
            try:
                # Before the list is read: a redeploy that is listed in between is counted twice instead of not at all.
                unlisted = [_name_at(descriptor, seat) for seat in held if _is_locked(descriptor, _SEATS + seat)]
                in_flight, allowed = look(len(held))
                self.allowed = allowed
                hidden = sum(not (name and is_listed(name)) for name in unlisted)
                free = next((seat for seat in range(1, _FIRST) if seat not in held), None)
                if free is not None and max(in_flight + hidden, len(held)) < allowed:
                    self._seat = kept = free
                    self.leave_queue()
                    self.found("")
                    _try_lock(descriptor, _SEATS + free)
            finally:
                _unlock_but(descriptor, 1, _FIRST, kept)
        return kept is not None

    def found(self, name: str) -> None:
        """Store the name by which the server will list this redeploy, at most 64 bytes.

        Another task can then find it in the list before this one has read the list.
        """
        if self._descriptor is not None and self._seat is not None:
            with contextlib.suppress(OSError):
                os.pwrite(
                    self._descriptor, name.encode(errors="replace")[:_NAME].ljust(_NAME, b"\0"), self._seat * _NAME
                )

    def listed(self) -> None:
        """Record that the server's list contains this redeploy, so it is counted there from now on."""
        if self._descriptor is not None and self._seat is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _SEATS + self._seat)
            self._wake()

    @property
    def seated(self) -> bool:
        """Whether this process counts as one of the redeploys in flight."""
        return self._seat is not None

    def is_first(self) -> bool:
        """Whether this process is the first one that waits for a seat.

        It stays the first until ``give_up_first()``, or until a process that comes before it in the queue waits too.
        """
        try:
            is_next = self._queue is None or self._queue.is_next()
        except OSError as failure:
            raise AdmissionError(f"the order of the waiting tasks cannot be stored: {failure.strerror}") from None
        self.is_behind = not is_next
        if self.is_behind:
            self.give_up_first()
        return is_next and _try_lock(self._open(), _FIRST)

    def join_queue(self) -> None:
        """Keep the processes that come later in the queue from being the first one."""
        if self._queue is not None:
            with contextlib.suppress(OSError):
                self._queue.join()

    def leave_queue(self) -> None:
        """Let the processes that come later in the queue be the first one."""
        if self._queue is not None:
            self._queue.leave()

    def give_up_first(self) -> None:
        """Allow another process to be the first one that waits."""
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _FIRST)

    def pause(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait up to ``seconds``. For the first process that waits, this ends as soon as a seat is given back."""
        descriptor = self._open()
        before, was_first, left = os.fstat(descriptor).st_mtime_ns, self.is_first(), seconds
        while left > 0:
            step = min(left, _LOOKS_EVERY, seconds / 4)
            sleep(step)
            left -= step
            if self.is_first() and (not was_first or os.fstat(descriptor).st_mtime_ns != before):
                return

    def give_back(self) -> None:
        """Give the seat back, because the redeploy is no longer in flight, and keep the claim."""
        if self._descriptor is not None and self._seat is not None:
            for byte in (self._seat, _SEATS + self._seat):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)
            self._seat = None
            self._wake()

    def leave(self) -> None:
        """Give back the seat and the claims, and wait no longer."""
        self.give_back()
        self.leave_queue()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wake(self) -> None:
        """End the pause of the first process that waits."""
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
    """The prefix for the names of a server's files. Addresses that differ only in their case share it."""
    return hashlib.sha256(base_url(api_url).lower().encode()).hexdigest()[:16]


@contextlib.contextmanager
def _turn(descriptor: int) -> Iterator[None]:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _TURN)
    except OSError as failure:
        raise AdmissionError(f"the file system of the lock file does not support locks: {failure.strerror}") from None
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _TURN)


def _held_by_others(descriptor: int, first: int, after: int) -> set[int]:
    """The bytes from ``first`` up to, but not including, ``after`` that other processes hold. Locks all others.

    The range is locked as a whole if possible, and else halved, because most bytes are free.
    """
    if _try_lock(descriptor, first, after - first):
        return set()
    if after - first == 1:
        return {first}
    middle = (first + after) // 2
    return _held_by_others(descriptor, first, middle) | _held_by_others(descriptor, middle, after)


def _unlock_but(descriptor: int, first: int, after: int, kept: int | None) -> None:
    """Unlock the bytes from ``first`` up to, but not including, ``after``, except the byte ``kept``."""
    parts = [(first, after)] if kept is None else [(first, kept), (kept + 1, after)]
    for start, end in parts:
        # A length of 0 would unlock the rest of the file.
        if end > start:
            fcntl.lockf(descriptor, fcntl.LOCK_UN, end - start, start)


def _try_lock(descriptor: int, first: int, length: int = 1) -> bool:
    try:
        return try_lock(descriptor, first, length)
    except OSError as failure:
        raise AdmissionError(f"the file system of the lock file does not support locks: {failure.strerror}") from None


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


def _is_own(folder: Path) -> bool:
    """Whether this folder belongs to the user and the user can create files in it."""
    try:
        found = folder.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and os.access(folder, os.W_OK | os.X_OK)


def lock_folder() -> Path:
    """The folder for lock files, which only this user can access. It is created if it does not exist.

    It is in the user's runtime folder, or else in the folder for temporary files. A job of cron has no XDG_RUNTIME_DIR,
    but must find the same folder as a login session. A relative path is ignored, because it would be another folder for
    a run that is started elsewhere. Raises AdmissionError.
    """
    user = str(os.geteuid())
    places = (Path(os.environ.get("XDG_RUNTIME_DIR", "")), _RUNTIME_FOLDERS / user)
    base = next((place for place in places if place.is_absolute() and _is_own(place)), None)
    try:
        folder = (base or Path(tempfile.gettempdir())) / f"fleetops-agents-{user}"
    except OSError as failure:
        raise AdmissionError(f"there is no folder for lock files: {failure.strerror}") from None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as failure:
        raise AdmissionError(f"the folder {folder} for lock files cannot be created: {failure.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise AdmissionError(f"{folder} belongs to another user")
    return folder
