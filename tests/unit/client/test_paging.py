# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a list that changes while it is read: no row is lost or read twice, and reading ends."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client import paging
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import (
    NEWEST_FIRST,
    NO_ORDER,
    OLDEST_FIRST,
    newest,
    newest_page,
    order_of,
    read_list,
)

PAGE = 10


class MovingList:
    """A newest-first list that changes before each read, by a script of (inserts, deletes)."""

    def __init__(self, size: int, script: list[tuple[int, list[int]]]) -> None:
        self.rows = [{"id": f"old-{n}"} for n in range(size)]
        self.old = {row["id"] for row in self.rows}
        self.script = list(script)
        self.reads = 0
        self.inserted: list[str] = []

    def fetch(self, limit: int, offset: int) -> list[dict[str, str]]:
        if self.script:
            inserts, deletes = self.script.pop(0)
            for position in deletes:
                if self.rows:
                    gone = self.rows.pop(position % len(self.rows))
                    self.old.discard(gone["id"])
            for _dummy in range(inserts):
                self.inserted.append(f"new-{len(self.inserted)}")
                self.rows.insert(0, {"id": self.inserted[-1]})
        self.reads += 1
        assert self.reads < 500, "the walk does not end"
        return [dict(row) for row in self.rows[offset : offset + limit]]


# behaviour 3.5, row 22
@settings(max_examples=300, deadline=None)
@given(
    size=st.integers(0, 60),
    script=st.lists(st.tuples(st.integers(0, 7), st.lists(st.integers(0, 100), max_size=12)), max_size=12),
)
def test_rows_that_exist_during_the_whole_read_are_read_exactly_once(
    size: int, script: list[tuple[int, list[int]]]
) -> None:
    moving = MovingList(size, script)
    found = [row["id"] for row in read_list(moving.fetch, page=PAGE).rows]
    assert len(found) == len(set(found))
    assert moving.old - set(found) == set()


@given(size=st.integers(1, 60), inserts=st.lists(st.integers(0, PAGE - 1), max_size=4))
def test_rows_that_are_added_at_the_head_during_the_read_are_read_too(size: int, inserts: list[int]) -> None:
    moving = MovingList(size, [(n, []) for n in inserts])
    found = [row["id"] for row in read_list(moving.fetch, page=PAGE).rows]
    assert found == [row["id"] for row in moving.rows]


@given(size=st.integers(0, 60), most=st.integers(1, 70))
def test_most_returns_the_newest_rows_in_order(size: int, most: int) -> None:
    still = MovingList(size, [])
    assert read_list(still.fetch, page=PAGE, most=most).rows == still.rows[:most]


@given(size=st.integers(0, 60), limit=st.integers(1, 40), start=st.integers(0, 70))
def test_newest_reports_exactly_whether_there_are_more_rows(size: int, limit: int, start: int) -> None:
    still = MovingList(size, [])
    rows, more = newest(still.fetch, limit, PAGE, start)
    assert rows == still.rows[start : start + limit]
    assert more == (len(still.rows) > start + limit)


def test_until_stops_at_the_first_known_row() -> None:
    still = MovingList(30, [])
    found = read_list(still.fetch, page=PAGE, until=lambda row: row["id"] == "old-12").rows
    assert [row["id"] for row in found] == [f"old-{n}" for n in range(12)]
    assert still.reads <= 4


def test_reading_ends_if_the_server_ignores_the_offset() -> None:
    rows = [{"id": str(n)} for n in range(PAGE)]
    assert read_list(lambda limit, offset: rows[:limit], page=PAGE).rows == rows


def test_rows_without_an_id_are_kept() -> None:
    assert len(read_list(lambda limit, offset: [{}, {}] if offset == 0 else [], page=PAGE).rows) == 2


# A short page is not the end of a list (reports/2026-11 A2)


def capped(rows: list[dict[str, Any]], cap: int, calls: list[tuple[int, int]] | None = None) -> Any:
    def fetch(limit: int, offset: int) -> list[dict[str, Any]]:
        if calls is not None:
            calls.append((limit, offset))
        return rows[offset : offset + min(limit, cap)]

    return fetch


@given(size=st.integers(0, 90), cap=st.integers(1, 12))
def test_a_short_page_is_not_the_end_of_a_list(size: int, cap: int) -> None:
    rows = MovingList(size, []).rows
    assert read_list(capped(rows, cap), page=PAGE).rows == rows
    found = read_list(capped(rows, cap), page=PAGE)
    assert found.rows == rows and found.whole


@settings(max_examples=200, deadline=None)
@given(
    size=st.integers(0, 60),
    cap=st.integers(2, 9),
    script=st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 100), max_size=1)), max_size=12),
)
def test_no_row_is_lost_from_a_changing_list_with_short_pages(
    size: int, cap: int, script: list[tuple[int, list[int]]]
) -> None:
    moving = MovingList(size, script)
    found = [
        row["id"] for row in read_list(lambda limit, offset: moving.fetch(min(limit, cap), offset), page=PAGE).rows
    ]
    assert len(found) == len(set(found))
    assert moving.old - set(found) == set()


@given(size=st.integers(0, 60), limit=st.integers(1, 40), start=st.integers(0, 70), cap=st.integers(1, 12))
def test_newest_reports_whether_there_are_more_rows_even_with_short_pages(
    size: int, limit: int, start: int, cap: int
) -> None:
    rows = MovingList(size, []).rows
    assert newest(capped(rows, cap), limit, PAGE, start) == (rows[start : start + limit], size > start + limit)


def test_reading_a_list_takes_one_call_more_than_its_pages_and_the_newest_rows_take_one() -> None:
    rows, calls = dated(250), []
    assert read_list(capped(rows, 100, calls), page=100, times=("at",)).rows == rows
    assert len(calls) <= 3 + 2
    calls.clear()
    assert read_list(capped(rows[:30], 100, calls), page=100, times=("at",)).rows == rows[:30]
    assert len(calls) == 2
    calls.clear()
    assert newest(capped(rows, 100, calls), 20, 100, times=("at",)) == (rows[:20], True)
    assert newest_page(capped(rows, 100, calls), 20, 100, ("at",)) == rows[:20]
    assert len(calls) == 2


def test_a_server_that_ignores_the_offset_gets_few_calls() -> None:
    rows, calls = dated(30), []

    def fetch(limit: int, offset: int) -> list[dict[str, Any]]:
        calls.append((limit, offset))
        return rows[:limit]

    assert read_list(fetch, page=100).rows == rows
    assert len(calls) <= 5


def test_rows_without_an_id_are_not_read_endlessly() -> None:
    assert len(read_list(lambda limit, offset: [{"n": n} for n in range(limit)], page=PAGE).rows) == PAGE


@pytest.mark.parametrize("timed", [True, False])
def test_a_list_of_which_each_answer_has_other_rows_is_not_read_without_end(
    timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "_MAX_READS", 50)
    new = count()

    def fetch(limit: int, offset: int) -> list[dict[str, Any]]:
        return [{"id": next(new), **({"created_at": 2e9 - next(new)} if timed else {})} for _dummy in range(limit)]

    with pytest.raises(ApiError, match="does not end: each of its first 50 pages has other rows"):
        read_list(fetch, page=PAGE, times=("created_at",))
    assert next(new) < 2000


# Oldest first (reports/2026-11 D4)


def dated(size: int) -> list[dict[str, Any]]:
    """Newest first."""
    return [{"id": str(n), "at": 1_700_000_000 + n} for n in range(size)][::-1]


@given(size=st.integers(0, 60), cap=st.integers(1, 12), most=st.none() | st.integers(1, 70), start=st.integers(0, 70))
def test_an_oldest_first_list_is_returned_newest_first(size: int, cap: int, most: int | None, start: int) -> None:
    rows = dated(size)
    fetch = capped(rows[::-1], cap)
    found = read_list(fetch, page=PAGE, most=most, start=start, times=("at",)).rows
    assert found == rows[start:][:most]
    if most is not None:
        assert newest(fetch, most, PAGE, start, ("at",)) == (found, size > start + most)
    # One row shows no order.
    assert cap == 1 or newest_page(fetch, 5, PAGE, ("at",)) == rows[:5]
    assert cap == 1 or newest_page(fetch, 1, PAGE, ("at",)) == rows[:1]


def test_a_known_row_does_not_end_the_read_of_an_oldest_first_list() -> None:
    rows = dated(45)
    found = read_list(capped(rows[::-1], 20), page=PAGE, until=lambda row: int(row["id"]) <= 40, times=("at",))
    assert [row["id"] for row in found.rows] == ["44", "43", "42", "41"]
    assert not found.whole


def test_the_order_is_that_of_most_rows_and_unknown_if_two_times_contradict_each_other() -> None:
    rows = dated(10)
    late = [*rows[:4], rows[5], rows[4], *rows[6:]]
    assert order_of(late, ("at",)) == NEWEST_FIRST
    assert order_of(late[::-1], ("at",)) == OLDEST_FIRST
    assert order_of([{**row, "other": -row["at"] + 2e9} for row in rows], ("at", "other")) == NO_ORDER
    assert order_of([{"id": 1}, {"id": 2}], ("at",)) == NO_ORDER


def test_a_list_without_a_known_order_is_read_to_its_end() -> None:
    rows = [{"id": str(n)} for n in range(40)]
    found = read_list(capped(rows, 10), page=PAGE, most=5, until=lambda row: row["id"] == "0", times=("at",))
    assert found.rows == [] and not found.whole
    assert read_list(capped(rows, 10), page=PAGE, times=("at",)).rows == rows
