# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders of the console that no other account may read, whatever the umask is."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

# Named after the program: the command line shows these lines as "console: ...".
_LOG = logging.getLogger("console")

_OTHERS = stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` and those above it that are missing, each 0700. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        # Another process may make it at the same moment.
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)


def only_for_the_owner(database: Path) -> None:
    """Make an existing database, and SQLite's files beside it, 0600 if every account may open one of them.

    What a group was given stays. A warning says what was changed, or that it could not be.
    """
    file = database.resolve()
    open_to_all = [one for one in database_files(file) if _mode(one) & _OTHERS]
    if not open_to_all:
        return
    modes = ", ".join(f"{one.name} {_mode(one):04o}" for one in open_to_all)
    try:
        for one in open_to_all:
            one.chmod(0o600)
    except OSError as error:
        _LOG.warning(
            "note: every account of this machine may open the database %s (%s), and its mode cannot be changed (%s):"
            " its owner should run chmod 600 on it.",
            database,
            modes,
            error.strerror or error,
        )
    else:
        _LOG.warning(
            "note: every account of this machine could open the database %s (%s); its mode is 0600 now.",
            database,
            modes,
        )


def rename_to_new(file: Path, target: Path) -> None:
    """Rename a file, but never to the name of a file that exists. Raises FileExistsError and other OSErrors."""
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
    """A database and the files that SQLite keeps beside it, those that exist."""
    return [one for one in (file, *beside(file)) if os.path.lexists(one)]


def beside(file: Path) -> list[Path]:
    """The names of what SQLite keeps beside a database: its write-ahead log, the index of that, and its journal."""
    return [file.with_name(file.name + end) for end in ("-wal", "-shm", "-journal")]


def _mode(file: Path) -> int:
    try:
        return stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return 0
