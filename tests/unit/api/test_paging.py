# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a list that changes while it is read: nothing lost, nothing twice, and an end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._api.paging import newest, read_all

PAGE = 10


class MovingList:
    """A newest-first list that changes before each read as a script of (inserts, deletes) says."""

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


@settings(max_examples=300, deadline=None)
@given(
    size=st.integers(0, 60),
    script=st.lists(st.tuples(st.integers(0, 7), st.lists(st.integers(0, 100), max_size=12)), max_size=12),
)
def test_22_rows_that_were_there_all_the_time_are_read_once_each(
    size: int, script: list[tuple[int, list[int]]]
) -> None:
    moving = MovingList(size, script)
    found = [row["id"] for row in read_all(moving.fetch, page=PAGE)]
    assert len(found) == len(set(found))
    assert moving.old - set(found) == set()


@given(size=st.integers(1, 60), inserts=st.lists(st.integers(0, PAGE - 1), max_size=4))
def test_what_is_put_at_the_head_during_the_walk_is_read_too(size: int, inserts: list[int]) -> None:
    moving = MovingList(size, [(n, []) for n in inserts])
    found = [row["id"] for row in read_all(moving.fetch, page=PAGE)]
    assert found == [row["id"] for row in moving.rows]


@given(size=st.integers(0, 60), most=st.integers(1, 70))
def test_most_gives_the_newest_in_order(size: int, most: int) -> None:
    still = MovingList(size, [])
    assert read_all(still.fetch, page=PAGE, most=most) == still.rows[:most]


@given(size=st.integers(0, 60), limit=st.integers(1, 40), start=st.integers(0, 70))
def test_newest_says_exactly_whether_there_is_more(size: int, limit: int, start: int) -> None:
    still = MovingList(size, [])
    rows, more = newest(still.fetch, limit, PAGE, start)
    assert rows == still.rows[start : start + limit]
    assert more == (len(still.rows) > start + limit)


def test_until_stops_at_the_first_known_row() -> None:
    still = MovingList(30, [])
    found = read_all(still.fetch, page=PAGE, until=lambda row: row["id"] == "old-12")
    assert [row["id"] for row in found] == [f"old-{n}" for n in range(12)]
    assert still.reads <= 4


def test_a_server_that_ignores_the_offset_ends_the_walk() -> None:
    rows = [{"id": str(n)} for n in range(PAGE)]
    assert read_all(lambda limit, offset: rows[:limit], page=PAGE) == rows


def test_rows_without_an_id_are_kept() -> None:
    assert len(read_all(lambda limit, offset: [{}, {}] if offset == 0 else [], page=PAGE)) == 2
