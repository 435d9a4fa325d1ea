# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the run logs is not loaded yet, by comparing their folder with the database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.log_file import NAME


@dataclass(frozen=True)
class Backlog:
    """The bytes of run logs that no sync has read, the number of their files, and when the oldest was last written.

    ``problem``: why the folder could not be read, in which case the figures are 0; '' if it was read.
    ``is_unreadable``: there is such a folder, so run logs may be waiting in it.
    """

    unread: int = 0
    files: int = 0
    oldest_at: float | None = None
    problem: str = ""
    is_unreadable: bool = False


def backlog(folder: Path, positions: Mapping[str, int]) -> Backlog:
    """The backlog of ``folder``. ``positions``: how many bytes of each file are stored, by file name."""
    unread, times = 0, []
    try:
        for entry in os.scandir(folder):
            if not NAME.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
                continue
            with suppress(FileNotFoundError):  # It may have been removed in the meantime.
                state = entry.stat()
                position = positions.get(entry.name, 0)
                # A file that is shorter than what was read of it has been replaced, so all of it is new.
                waiting = state.st_size - position if state.st_size >= position else state.st_size
                if waiting:
                    unread += waiting
                    times.append(state.st_mtime)
    except FileNotFoundError:
        return Backlog(problem=f"There is no run log folder {folder}.")
    except OSError as error:
        problem = f"The run log folder {folder} cannot be read: {error.strerror or error}."
        return Backlog(problem=problem, is_unreadable=True)
    return Backlog(unread, len(times), min(times, default=None))
