# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a database, and what to do about it. Nothing here loads frames."""

from __future__ import annotations

import shlex
from pathlib import Path

from console.settings.invocation import COMMAND


class DatabaseProblem(Exception):
    """The database cannot be read; the text says why and what to do."""


class NoDatabase(DatabaseProblem):
    """There is no database yet: nothing was ever synced."""


def damaged(path: Path, said: str) -> str:
    """What to do about a file that SQLite cannot make sense of; ``said``: what SQLite said of it."""
    return (
        f"The file {path} is damaged or no SQLite database ({said}), or {path.name}-wal and {path.name}-shm beside it"
        " are left from another file. Without a backup, move all three away and sync again. To put a backup in their"
        f" place, which keeps them aside, run: {COMMAND} restore BACKUP --db {shlex.quote(str(path))}"
    )
