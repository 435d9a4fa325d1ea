# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the console that no other account may read."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

# Named after the program: the command line shows these lines as "console: ...".
_LOG = logging.getLogger("console")


def only_for_the_owner(database: Path) -> None:
    """Set the mode of a database, and of each of SQLite's files next to it, to 0600 if every account has access to it.

    Access of only a group is left unchanged. A warning says what was changed or could not be changed.
    """
    open_to_all = [file for file in database_files(database.resolve()) if _mode(file) & stat.S_IRWXO]
    if not open_to_all:
        return
    modes = ", ".join(f"{file.name} {_mode(file):04o}" for file in open_to_all)
    try:
        for file in open_to_all:
            file.chmod(0o600)
    except OSError as error:
        _LOG.warning(
            "note: every account on this machine can open the database %s (%s), and its mode cannot be changed (%s);"
            " its owner should run chmod 600 on it.",
            database,
            modes,
            error.strerror or error,
        )
    else:
        _LOG.warning(
            "note: every account on this machine could open the database %s (%s); its mode is now 0600.",
            database,
            modes,
        )


def rename_to_new(file: Path, target: Path) -> None:
    """Rename a file without ever replacing an existing one. Raises FileExistsError and other OSErrors."""
    try:
        os.link(file, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        if os.path.lexists(target):
            raise FileExistsError from None
        file.rename(target)
    else:
        file.unlink()


def database_files(file: Path) -> list[Path]:
    """The existing files of a database: itself and those that SQLite keeps next to it."""
    return [path for path in (file, *beside(file)) if os.path.lexists(path)]


def beside(file: Path) -> list[Path]:
    """The paths of SQLite's files next to a database: the write-ahead log, its index, and the rollback journal."""
    return [file.with_name(file.name + suffix) for suffix in ("-wal", "-shm", "-journal")]


def log_of(database: Path) -> Path:
    """The path of a database's write-ahead log, which is next to the file itself if ``database`` is a symbolic link."""
    return beside(database.resolve())[0]


def _mode(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return 0
