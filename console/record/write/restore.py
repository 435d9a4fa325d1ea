# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces the database with a backup while no other program uses it; the old files are kept under other names.

Copying a file over the database is not enough: SQLite would apply the write-ahead log of a killed sync to the backup.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from console.record.opening import (
    DatabaseProblem,
    as_database_problem,
    check_folder,
    copied_at,
    refuse_other_files,
    refuse_other_programs,
)
from console.record.private_files import beside
from console.record.write.maintenance import as_on_disk, copied, open_maintenance

# The position and length of SQLite's lock bytes; every open connection in WAL mode holds a lock on one of them.
_LOCK_START, _LOCK_BYTES = 0x40000000, 512


def restore(backup: Path, database: Path, now: float, *, wait: float = 5.0) -> list[Path]:
    """Replace the database with a checked, migrated copy of ``backup``; returns the old files, kept under other names.

    A copy for review becomes an independent database. Raises DatabaseProblem, and changes nothing, if ``backup`` is not
    an intact database of the console, if ``database`` is that of another program, or if another program has used it for
    ``wait`` seconds.
    """
    place = database.resolve()
    with as_database_problem(place, wait):
        refuse_other_files(place)
        refuse_other_programs(place)
        check_folder(database)
    with as_database_problem(backup, wait, "read"):
        if not backup.is_file():
            raise DatabaseProblem(f"There is no backup {backup}.")
        if place.exists() and backup.samefile(place):
            raise DatabaseProblem(f"{backup} is the database itself; specify a backup of it.")
    try:
        with copied(backup, beside=place) as made:
            _make_current(backup, made, now)
            as_on_disk(made)
            with _locked(place, wait) as old:
                return _swap(made, place, old, now)
    except OSError as error:
        raise DatabaseProblem(f"The database {database} cannot be replaced: {error.strerror or error}.") from error


def _make_current(backup: Path, made: Path, now: float) -> None:
    try:
        with open_maintenance(made) as database:
            made_at, file = copied_at(database.conn), str(backup.absolute())
            database.adopt(now)
            database.record("restore", now, {"file": file})
            if made_at is not None:
                # A backup is copied before its time is recorded, so it does not contain its own.
                database.record("backup", made_at, {"file": file, "bytes": backup.stat().st_size})
    except DatabaseProblem as error:
        raise DatabaseProblem(str(error).replace(str(made), str(backup))) from error
    if left := [file for file in beside(made) if file.exists()]:
        raise DatabaseProblem(f"SQLite did not finish the copy of {backup}: it left {left[0].name}. Try again.")


def _swap(made: Path, place: Path, old: BinaryIO | None, now: float) -> list[Path]:
    """Move ``made`` to ``place``. The old database stays there until the last step, and its write-ahead log is never
    next to another database. If a step fails or is interrupted, the previous steps are undone."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    name, number = f"{place.name}.before-restore-{moment}", 1
    while any(os.path.lexists(file) for file in (place.with_name(name), *beside(place.with_name(name)))):
        number += 1
        name = f"{place.name}.before-restore-{moment}-{number}"
    kept = place.with_name(name)
    aside = []
    with ExitStack() as undo:
        if old is not None:
            undo.callback(kept.unlink, missing_ok=True)
            with os.fdopen(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as copy:
                shutil.copyfileobj(old, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            aside.append(kept)
        for old_name, new_name in zip(beside(place), beside(kept), strict=True):
            if os.path.lexists(old_name):
                old_name.rename(new_name)
                undo.callback(new_name.rename, old_name)
                aside.append(new_name)
        made.replace(place)
        undo.pop_all()
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside


@contextmanager
def _locked(place: Path, wait: float) -> Iterator[BinaryIO | None]:
    """The open database file, None if there is none. No other program can use it in the block, even if it is damaged.

    All of SQLite's locks on it are held. The process would lose them if it closed another descriptor of the same file.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            fd = os.open(place, os.O_RDWR)
        except FileNotFoundError:
            yield None
            return
        with os.fdopen(fd, "r+b", buffering=0) as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _LOCK_START)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DatabaseProblem(
                        f"The database {place} is in use by another program, such as a sync, and was left as it is."
                        " Stop that program, or wait for its end, and restore again."
                    ) from error
            else:
                # Another restore may have replaced the file while this one waited.
                if place.exists() and os.path.samestat(os.fstat(fd), place.stat()):
                    yield file
                    _make_unusable(fd)
                    return
        time.sleep(0.05)


def _make_unusable(fd: int) -> None:
    """Make the old file, which no longer has a name, unusable for programs that opened it before it was replaced.

    SQLite finds the write-ahead log by its name: it would use the log of the new database for the old file.
    """
    if os.fstat(fd).st_nlink == 0:
        os.pwrite(fd, bytes(100), 0)
