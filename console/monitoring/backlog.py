# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the run logs is not loaded yet: the spool folder compared with what the database has of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Backlog:
    """Bytes of run logs that no sync has read, in how many files, and when the oldest of them was last written.

    ``problem``: why the folder could not be read, and the figures are 0; '' if it was read.
    """

    unread: int = 0
    files: int = 0
    oldest_at: float | None = None
    problem: str = ""


def backlog(folder: Path, positions: Mapping[str, int]) -> Backlog:
    """What waits in ``folder``; ``positions``: bytes stored by file name."""
    unread, times = 0, []
    try:
        for entry in os.scandir(folder):
            if entry.name.endswith(".jsonl") and entry.is_file():
                state = entry.stat()
                position = positions.get(entry.name, 0)
                # A file that is shorter than what was read of it was replaced: all of it is new.
                waits = state.st_size - position if state.st_size >= position else state.st_size
                if waits:
                    unread += waits
                    times.append(state.st_mtime)
    except FileNotFoundError:
        return Backlog(problem=f"There is no run log folder {folder}.")
    except OSError as error:
        return Backlog(problem=f"The run log folder {folder} cannot be read: {error.strerror or error}.")
    return Backlog(unread, len(times), min(times, default=None))
