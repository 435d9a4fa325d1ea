# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exported files of lists: no text is lost, no cell is a formula, and times are in UTC."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.text.file_formats import FORMATS, as_csv, as_json_lines, as_parquet

# Texts that the database can contain; half characters are replaced before texts are stored.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
FORMULAS = st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n"]).flatmap(
    lambda sign: TEXTS.map(lambda rest: sign + rest)
)


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@given(st.lists(st.one_of(TEXTS, FORMULAS, st.none()), min_size=1, max_size=8))
def test_no_cell_of_a_csv_is_a_formula_and_no_text_is_lost(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"host": pd.Series(texts, dtype=object), "n": range(len(texts))})
    cells = [row["host"] for row in read_csv(as_csv(frame))]
    for text, cell in zip(texts, cells, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        assert cell.removeprefix("'") == (text or "").removeprefix("'")


@given(st.lists(st.one_of(TEXTS, FORMULAS, st.none()), max_size=8))
def test_json_lines_and_parquet_contain_the_texts_unchanged(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"host": pd.Series(texts, dtype=object)})
    lines = as_json_lines(frame).decode().split("\n")[:-1]
    assert [json.loads(line)["host"] for line in lines] == texts
    back = pd.read_parquet(io.BytesIO(as_parquet(frame)))["host"]
    assert [value if isinstance(value, str) else None for value in back] == texts


@pytest.mark.parametrize("name", ["started_at", "event_ts", "at", "since", "gap_from", "gap_to"])
def test_times_are_in_utc_and_unknown_values_are_empty(name: str) -> None:
    frame = pd.DataFrame(
        {
            name: [1_795_500_000.25, float("nan"), 9e99],
            "took_s": [-1.5, float("nan"), 2.0],
            "batch": pd.Series([1, None, "odd"], dtype=object),
            "nothing": pd.Series([None, None, None], dtype=object),
        }
    )
    rows = read_csv(as_csv(frame))
    assert [row[name] for row in rows] == ["2026-11-24T06:00:00Z", "", ""]
    # A negative number is a number, not a formula.
    assert [row["took_s"] for row in rows] == ["-1.5", "", "2.0"]
    parsed = [json.loads(line) for line in as_json_lines(frame).splitlines()]
    assert [row[name] for row in parsed] == ["2026-11-24T06:00:00Z", None, None]
    assert parsed[1] == {name: None, "took_s": None, "batch": None, "nothing": None}
    back = pd.read_parquet(io.BytesIO(as_parquet(frame)))
    assert back[name][0] == pd.Timestamp("2026-11-24T06:00:00.25Z")
    assert back[name].isna().tolist() == [False, True, True]
    assert back["batch"].tolist()[::2] == ["1", "odd"]
    assert back["nothing"].isna().all()


def test_whole_numbers_are_written_as_such_although_some_are_unknown() -> None:
    nan = float("nan")
    frame = pd.DataFrame(
        {
            "memories": [4.0, nan],
            "full": pd.Series([0, None], dtype=object),
            "share": [0.5, nan],
            "huge": [1e300, nan],
            "endless": [float("inf"), nan],
            "unknown": [nan, nan],
            "took_s": [2.0, nan],
        }
    )
    assert as_csv(frame).decode().splitlines()[1] == '4,0,0.5,1e+300,inf,"",2.0'
    assert as_json_lines(frame).decode().startswith('{"memories":4,"full":0,"share":0.5,')
    back = pd.read_parquet(io.BytesIO(as_parquet(frame)))
    assert [str(back[name].dtype) for name in ("memories", "full", "took_s")] == ["Int64", "Int64", "float64"]
    assert (back["memories"][0], back["full"].isna().tolist()) == (4, [False, True])


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.suffix)
def test_an_export_does_not_change_the_frame_and_an_empty_one_is_a_file(form: object) -> None:
    frame = pd.DataFrame({"host": ["=1+1"], "started_at": [1.0]})
    kept = frame.copy(deep=True)
    assert form.write(frame)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(frame, kept)
    assert isinstance(form.write(frame.iloc[:0]), bytes)  # type: ignore[attr-defined]
