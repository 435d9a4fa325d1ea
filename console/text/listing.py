# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes rows for a terminal or another program: as a table, JSON or CSV. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time, parse_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import (
    printable,
    printable_json,
    printable_line,
)
from console.text import times
from console.text.file_formats import as_csv

FORMATS = ("table", "json", "csv")

Row = dict[str, Any]
Table = Mapping[str, str | Callable[[Row], Any]]
"""The columns of the format "table", by heading: the name of a column, or a function that returns a row's value."""


def records(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame, one dictionary each."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def as_json(value: Any) -> str:
    """A value as JSON for a terminal, with a newline at the end."""
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def listing(rows: Sequence[Row], columns: Sequence[str], form: str, table: Table | None = None) -> str:
    """``rows`` as text with a newline at the end. Columns of times are epoch seconds and become ISO 8601 (UTC).

    table: the columns of the format "table", if they differ from ``columns``.
    """
    if form == "table":
        return _table(rows, table or {column: column for column in columns})
    plain = [{column: _plain(column, row.get(column)) for column in columns} for row in rows]
    if form == "json":
        return as_json(plain)
    # Line feeds and tabs are data; other control characters would control the terminal that shows the file.
    cells = [[printable(v) if isinstance(v, str) else v for v in map(_yes_or_no, row.values())] for row in plain]
    return as_csv(pd.DataFrame(cells, columns=list(columns), dtype=object)).decode()


def _table(rows: Sequence[Row], columns: Table) -> str:
    head = [
        f"{title} (UTC)" if isinstance(source, str) and times.is_time(source) else title
        for title, source in columns.items()
    ]
    known = ({name: _known(value) for name, value in row.items()} for row in rows)
    shown = [head, *([_text(row, source) for source in columns.values()] for row in known)]
    widths = [max(len(text) for text in column) for column in zip(*shown, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in shown) + "\n"


def _text(row: Row, source: str | Callable[[Row], Any]) -> str:
    """A cell of a table, '-' if its value is unknown."""
    value = source(row) if callable(source) else _yes_or_no(row.get(source))
    if isinstance(source, str) and times.is_time(source):
        value = times.moment(parse_time(value))
    return "-" if value in (None, "") else printable_line(f"{value:,}" if isinstance(value, int) else str(value))


def _yes_or_no(value: Any) -> Any:
    return "yes" if value is True else "no" if value is False else value


def _known(value: Any) -> Any:
    """A value as a type of Python; None for NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _plain(column: str, value: Any) -> Any:
    plain = _known(value)
    return iso_time(parse_time(plain)) if plain is not None and times.is_time(column) else plain
