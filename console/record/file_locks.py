# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POSIX file locks: whether another process holds one, and locks for duties that only one process may perform."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from console.record.opening import DatabaseProblem

FOLLOWER, NOTIFIER = "follower", "notify"


def is_locked(file: BinaryIO) -> bool:
    """Whether another process holds a POSIX lock on an open file. The calling process's own locks do not count.

    Uses F_GETLK and takes no lock itself: a lock taken as a test would make a run that is just starting believe that
    its own run log is in use.
    """
    if sys.platform.startswith("linux"):
        layout, probe = "hhqqi4x", (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind_at = 0
    else:
        layout, probe = "qqihh", (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        kind_at = 3
    with suppress(OSError):
        answer = fcntl.fcntl(file.fileno(), fcntl.F_GETLK, struct.pack(layout, *probe))
        return struct.unpack(layout, answer)[kind_at] != fcntl.F_UNLCK
    # The file system does not support locks, so no run can hold one.
    return False


@contextmanager
def only_one(database: Path, duty: str) -> Iterator[bool]:
    """Hold the lock for a duty (FOLLOWER or NOTIFIER) of ``database``. Yields False, without the lock, if another
    process holds it.

    The kernel releases the lock when the process ends, however it ends. Raises DatabaseProblem.
    """
    with ExitStack() as opened:
        try:
            number = os.open(_lock_file(database, duty), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            file = opened.enter_context(os.fdopen(number, "r+b", buffering=0))
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_alone = True
        except BlockingIOError:
            is_alone = False
        except OSError as error:
            raise DatabaseProblem(
                f"The lock file next to {database} cannot be opened: {error.strerror}; check the mode of its folder."
            ) from error
        yield is_alone


def has_follower(database: Path) -> bool | None:
    """Whether another process is the follower of ``database``; None if this account may not read the lock file."""
    try:
        with _lock_file(database, FOLLOWER).open("rb") as file:
            return is_locked(file)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _lock_file(database: Path, duty: str) -> Path:
    # The database itself is not locked: closing another descriptor of it would release SQLite's own locks.
    file = database.resolve()
    return file.with_name(f"{file.name}-{duty}")
