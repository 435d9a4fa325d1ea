# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The order in which the tasks of a stream are admitted, although all of them wait at the same time.

Each task that waits locks one byte of a file, at its place in the plan. The next one is the task before whose byte no
other byte is locked. POSIX locks end with the process that holds them, so nobody waits for a task that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

_ATTEMPTS = 100


class Queue:
    """This process among those that wait. ``place``: its place in the plan, 0 or more. Methods raise OSError."""

    def __init__(self, path: Path, place: int) -> None:
        self._path, self._place = path, place
        self._descriptor: int | None = None

    def join(self) -> bool:
        """Wait from now on. Returns whether this process has its place, which another one may lock for a moment.

        It tries for up to a second, because until it has its place, processes that come later are admitted before it.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for _attempt in range(_ATTEMPTS):
            if try_lock(self._descriptor, self._place, 1):
                return True
            time.sleep(1 / _ATTEMPTS)
        return False

    def is_next(self) -> bool:
        """Whether this process waits, and no other process that waits has a lower place."""
        if not self.join() or self._descriptor is None:
            return False
        if self._place == 0:
            return True
        # A shared lock, so that two processes that check at the same moment do not see each other as waiting.
        is_free = try_lock(self._descriptor, 0, self._place, fcntl.LOCK_SH)
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, self._place)
        return is_free

    def leave(self) -> None:
        """Wait no longer, because the process was admitted or needs no admission."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def try_lock(descriptor: int, first: int, length: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock ``length`` bytes from ``first`` on (0: all); False if another process holds one of them. Raises OSError."""
    try:
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, length, first)
    except OSError as failure:
        if failure.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True
