# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes rows for a terminal or another program: as a table, JSON or CSV. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time, parse_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_json, printable_line
from console.text.file_formats import as_csv
from console.text.times import is_time

FORMATS = ("table", "json", "csv")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, one dictionary each."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def as_json(value: Any) -> str:
    """A value as JSON for a terminal, with a newline at the end."""
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"


def listing(rows: Sequence[dict[str, Any]], columns: Sequence[str], form: str) -> str:
    """``rows`` as text with a newline at the end. Columns of times are epoch seconds and become ISO 8601 (UTC)."""
    plain = [{column: _plain(column, row.get(column)) for column in columns} for row in rows]
    if form == "json":
        return as_json(plain)
    lines = [["yes" if value is True else "no" if value is False else value for value in row.values()] for row in plain]
    if form == "csv":
        cells = [[_cell(value) for value in line] for line in lines]
        return as_csv(pd.DataFrame(cells, columns=list(columns), dtype=object)).decode()
    texts = [["-" if value is None else printable_line(str(value)) for value in line] for line in lines]
    shown = [list(columns), *texts]
    widths = [max(len(text) for text in column) for column in zip(*shown, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in shown) + "\n"


def _plain(column: str, value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    plain = value.item() if hasattr(value, "item") else value
    return iso_time(parse_time(plain)) if is_time(column) else plain


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # Line breaks and tabs are data; other control characters would control the terminal that shows the file.
    return "".join(char if char.isprintable() or char in "\n\r\t" else "?" for char in value)
