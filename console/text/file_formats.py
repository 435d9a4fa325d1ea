# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a frame as a file: CSV without formulas, JSON lines or Parquet. Pure.

Columns of times (:func:`times.is_time`) are epoch seconds in the frame and times in UTC in the file: ISO 8601 text in
CSV and JSON lines, timestamps in Parquet. An unknown value is empty in CSV and null in the other formats. Numbers other
than durations (:func:`times.is_duration`) are written as whole numbers if all of them are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from console.text.times import is_duration, is_time

MAX_ROWS = 100_000
"""The maximum number of rows in one file; the page says so if there are more."""

# A spreadsheet treats a cell that begins with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Format:
    """A file format: its name on the button, file extension, media type, and the function that writes a frame."""

    name: str
    suffix: str
    mime: str
    write: Callable[[pd.DataFrame], bytes]


def as_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a header line. Texts are quoted, and one that begins like a formula is prefixed with an apostrophe."""
    plain = _with_times(frame, as_text=True)
    for name in _texts(plain):
        plain[name] = [
            "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value for value in plain[name]
        ]
    # Texts are always quoted: an unquoted carriage return would begin a new row, perhaps with a formula.
    text: str = plain.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text.encode("utf-8", "replace")


def as_json_lines(frame: pd.DataFrame) -> bytes:
    """One JSON object per row, in UTF-8."""
    plain = _with_times(frame, as_text=True)
    if not len(plain):
        return b""
    text: str = plain.to_json(orient="records", lines=True, force_ascii=False)
    return text.rstrip("\n").encode("utf-8", "replace") + b"\n"


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Parquet. Columns of mixed types and columns without any value become text."""
    plain = _with_times(frame, as_text=False)
    for name in _texts(plain):
        plain[name] = plain[name].astype(object).map(str, na_action="ignore").astype("str")
    file = io.BytesIO()
    plain.to_parquet(file, index=False)
    return file.getvalue()


FORMATS = (
    Format("CSV", "csv", "text/csv", as_csv),
    Format("JSON lines", "jsonl", "application/x-ndjson", as_json_lines),
    Format("Parquet", "parquet", "application/vnd.apache.parquet", as_parquet),
)


def _texts(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])
            and not pd.api.types.is_datetime64_any_dtype(frame[name])]  # fmt: skip


def _with_times(frame: pd.DataFrame, *, as_text: bool) -> pd.DataFrame:
    plain = frame.reset_index(drop=True)
    for name in plain.columns:
        if is_time(str(name)) and pd.api.types.is_numeric_dtype(plain[name]):
            # A number outside the range of times becomes empty, so that the file can be written.
            times = pd.to_datetime(plain[name].astype(float), unit="s", utc=True, errors="coerce")
            times = times.dt.floor("s") if as_text else times.astype("datetime64[us, UTC]")
            plain[name] = times.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype(object) if as_text else times
        elif not is_duration(str(name)) and _is_whole(plain[name]):
            # In the frame, a column with an unknown value has no integers.
            plain[name] = plain[name].astype("Int64")
    return plain


def _is_whole(column: pd.Series[Any]) -> bool:
    """Whether a column contains nothing but whole numbers and unknown values, and at least one number."""
    known = column.dropna()
    if not len(known) or pd.api.types.infer_dtype(known) not in ("integer", "floating"):
        return False
    # Larger ones are not exact as floats.
    return bool(((known % 1 == 0) & (known.abs() < 2**53)).all())
