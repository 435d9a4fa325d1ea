# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a sync reports its progress, also in a terminal; and the report of one read of a source."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

LINE_EVERY = 10.0
"""Seconds between two lines of an unfinished step."""

Progress = Callable[[int, int | None, str], None]
"""Called as work progresses: how much is done, the total (None while it is unknown), and the name of the current step.
A step ends when it is all done, or when the next one begins."""


def silent(done: int, total: int | None, what: str) -> None:
    """Reports nothing."""


class TerminalProgress:
    """A progress bar on a terminal; elsewhere a line when a step begins or ends, and every LINE_EVERY seconds.

    ``stream`` is usually standard error, so that standard output contains only results.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tty = stream.isatty()
        self._what: str | None = None
        self._last = 0.0
        self._open_line = False

    def __call__(self, done: int, total: int | None, what: str) -> None:
        now = time.monotonic()
        begins, ends = what != self._what, total is not None and done >= total
        pause = 0.1 if self._tty else LINE_EVERY
        if not (begins or ends or now - self._last >= pause):
            return
        if begins:
            self.close()
        self._what, self._last = what, now
        if self._tty:
            self._draw(done, total, what)
            if ends:
                self.close()
        else:
            self._write(f"{what}: {_figure(done, total)}\n")

    def close(self) -> None:
        """End the line of an unfinished bar, so that the next output starts on a new line."""
        if self._open_line:
            self._write("\n")
            self._open_line = False

    def _draw(self, done: int, total: int | None, what: str) -> None:
        text = f"{what} {_figure(done, total)}"
        width = max(20, shutil.get_terminal_size().columns - 1)
        cells = min(40, width - len(text) - 3)
        if total and cells >= 8:
            filled = cells * min(done, total) // total
            text += f" [{'#' * filled}{'.' * (cells - filled)}]"
        self._write("\r\x1b[K" + text[:width])
        self._open_line = True

    def _write(self, text: str) -> None:
        # The sync continues if the program that reads its output has ended, or if the disk is full.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def _figure(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


@dataclass(kw_only=True)
class ReadReport:
    """``problems``: what could not be read, as sentences. ``notes``: what is worth knowing but is not an error.

    ``away``: why the source could not be read at all, '' if it was read.
    """

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    away: str = ""
