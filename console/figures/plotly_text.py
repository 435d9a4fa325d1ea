# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text, times and units as Plotly takes them. Pure.

Plotly reads markup in its labels, so machine text (host names, errors) goes through :func:`plain`.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable

import numpy as np


def plain(text: object, width: int = 64, lines: int = 4) -> str:
    """Machine text for a Plotly label: escaped, wrapped at ``width``, cut after ``lines`` lines."""
    # A single word needs no wrapping, and a chart has hundreds of them.
    word = str(text)
    is_word = len(word) <= width and word.isprintable() and " " not in word
    rows = [word] if is_word else textwrap.wrap(word, width) or [""]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1] + " …"]
    return "<br>".join(html.escape(row, quote=False) for row in rows)


def place(seconds: float) -> str:
    """Epoch seconds as a value of a Plotly date axis, to the millisecond. As text, because Plotly shows a number in the
    browser's time zone and not in UTC."""
    return str(np.datetime64(round(seconds * 1000), "ms"))


def places(seconds: Iterable[float]) -> list[str | None]:
    """:func:`place` of each, None for NaN."""
    times = np.array(list(seconds), dtype=float)
    known = np.isfinite(times)
    dates = np.where(known, np.round(times * 1000), 0).astype(np.int64).astype("datetime64[ms]")
    written = np.datetime_as_string(dates).tolist()
    return written if known.all() else [date if ok else None for date, ok in zip(written, known, strict=True)]


def axis_unit(longest: float) -> tuple[str, float]:
    """The unit for an axis up to ``longest`` seconds, and its length in seconds, so that the axis has small numbers."""
    return ("h", 3600.0) if longest > 3 * 3600 else ("min", 60.0) if longest > 600 else ("s", 1.0)
