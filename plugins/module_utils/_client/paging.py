# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading a list page by page, although it may grow meanwhile and the server may return short pages.

A server may return fewer rows than requested, so a short page is not the end of a list. The list ends at a page without
new rows. The reference does not say for every list which row comes first, so the order is determined from the times of
the rows.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .._rules.answers import Record, parse_time
from .errors import ApiError

Fetch = Callable[[int, int], list[Record]]
Until = Callable[[Record], bool]

# How many rows of a page are read again with the next one.
OVERLAP = 5
# Limits, so that reading a list that never stops growing ends.
_MAX_HEAD_READS = 20
_MAX_STEPS_BACK = 100
_MAX_IDLE_PAGES = 20
_MAX_READS = 10_000
# This many rows further on there must be other rows, or none. A server that returns the same rows ignores the offset.
_FAR = 100_000

NEWEST_FIRST, OLDEST_FIRST, NO_ORDER = "newest first", "oldest first", "no order"


@dataclass(frozen=True)
class Listing:
    """Rows of a list, newest first if their times show the order. ``whole``: the list has no other rows."""

    rows: list[Record]
    whole: bool


def order_of(rows: Iterable[Record], times: Sequence[str]) -> str:
    """How rows are ordered by their times (keys ``times``); NO_ORDER if these are absent, equal or contradictory.

    A few rows may be out of order, because an event arrived late or two clocks differ.
    """
    listed = list(rows)
    told = set()
    for name in times:
        known = [at for row in listed if (at := parse_time(row.get(name))) is not None]
        falling = sum(one > other for one, other in pairwise(known))
        rising = sum(one < other for one, other in pairwise(known))
        if falling > 3 * rising:
            told.add(NEWEST_FIRST)
        elif rising > 3 * falling:
            told.add(OLDEST_FIRST)
    return told.pop() if len(told) == 1 else NO_ORDER


def read_list(
    fetch: Fetch,
    *,
    page: int,
    most: int | None = None,
    until: Until | None = None,
    start: int = 0,
    times: Sequence[str] = (),
    first: int | None = None,
) -> Listing:
    """The rows of a list from offset ``start`` on, each once.

    ``fetch(limit, offset)`` reads one page. ``page``: the largest limit that the API allows. ``first``: the limit of
    the first call. Reading ends once ``most`` rows are known, or at the first row for which ``until(row)`` is true;
    that row is left out. Both apply only to a list that begins with the newest row: any other list is read to its end.

    ``times``: the keys of the rows' times, which show the order. Without them the newest row is assumed to come first.
    The offset counts from the newest row, even if the server lists the oldest row first. What ``fetch`` raises goes to
    the caller. Raises ApiError if the list does not end.
    """
    walk = _Walk(fetch, page, most, until, start, times, first)
    walk.go()
    if start and times and walk.order == NO_ORDER:
        walk.order = order_of([*fetch(page, 0), *walk.found.values()], times)
    if start and walk.order == OLDEST_FIRST:
        whole = read_list(fetch, page=page, times=times)
        walk = _Walk(fetch, page, most, until, start, times, first)
        walk.found, walk.whole = _keyed(whole.rows[start:]), whole.whole
    elif walk.order == OLDEST_FIRST:
        walk.found = dict(reversed(walk.found.items()))
    return walk.listing()


def newest(
    read_page: Fetch, limit: int | None, page: int, start: int = 0, times: Sequence[str] = ()
) -> tuple[list[Record], bool]:
    """The ``limit`` newest rows (None: all) from offset ``start`` on, and whether there are more.

    ``read_page(limit, offset)`` reads one page. One row more than ``limit`` is read, which shows whether there are
    more. If the first page contains that row, there is only one call.
    """
    if limit is None:
        return read_list(read_page, page=page, start=start, times=times).rows, False
    first = min(page, limit + 1)
    rows = read_list(read_page, page=page, most=limit + 1, start=start, times=times, first=first).rows
    return rows[:limit], len(rows) > limit


def newest_page(fetch: Fetch, limit: int, page: int, times: Sequence[str]) -> list[Record]:
    """The newest rows of a list, as many as the server returns in one page of up to ``limit`` rows.

    There is one call, unless the server lists the oldest row first: then the list is read to its end.
    """
    # The order of a list is unknown if it has only one row.
    rows = fetch(max(limit, 2), 0)
    if order_of(rows, times) != OLDEST_FIRST:
        return rows[:limit]
    return read_list(fetch, page=page, times=times).rows[:limit]


@dataclass
class _Walk:
    """One pass through a list, page by page.

    Pages overlap by 5 rows, or by half of a page that has fewer than 10 rows. If a page has no row that is known
    already (because rows above it were removed), the walk goes back by a page. A page that is longer than the overlap,
    but has no new rows, means that the list has grown by a whole page meanwhile, or that the server ignores the offset.
    """

    fetch: Fetch
    page: int
    most: int | None
    until: Until | None
    start: int
    times: Sequence[str]
    first: int | None
    found: dict[Any, Record] = field(default_factory=dict)
    order: str = NO_ORDER
    whole: bool = False
    _stops: dict[Any, bool] = field(default_factory=dict)

    def go(self) -> None:
        self.order = NO_ORDER if self.times else NEWEST_FIRST
        offset, overlap, step, steps_back, idle, reads = self.start, 0, 0, 0, 0, 0
        rows: list[Record] = []
        steady = False
        while True:
            above = rows
            if reads >= _MAX_READS:
                problem = f"the list does not end: each of its first {reads} pages has other rows"
                raise ApiError("unexpected", "GET", "of a list", detail=problem)
            rows = self.fetch(self.first or self.page if reads == 0 else self.page, offset)
            reads += 1
            keyed = _keyed(rows)
            apart = self.found.keys().isdisjoint(keyed)
            if overlap and apart and offset > self.start and steps_back < _MAX_STEPS_BACK:
                steps_back += 1
                offset = max(self.start, offset - step)
                continue
            # Not a difference of the two: that would take time for each row that is known.
            fresh = any(identity not in self.found for identity in keyed)
            # A page at the start without any known row: its rows were added above all known ones.
            pushed = apart and offset == self.start
            self.found = {**keyed, **self.found} if pushed else _merged(self.found, keyed)
            if self.order == NO_ORDER:
                self.order = order_of([*above, *rows], self.times)
                keyed = self.found
            if self.order == OLDEST_FIRST and self.start:
                return
            if self.order == NEWEST_FIRST and (self._is_stopped(keyed) or len(self.found) >= (self.most or math.inf)):
                break
            if not rows or (not fresh and len(rows) <= overlap):
                self.whole = True
                # The page before, the only one, ends with the same rows. So none was added at the head meanwhile.
                steady = reads == 2 and len(rows) == overlap and rows == above[len(above) - overlap :]
                break
            idle = 0 if fresh else idle + 1
            if idle == 1 and self._ignores_offset(offset):
                self.whole = True
                break
            if idle > _MAX_IDLE_PAGES:
                break
            overlap = min(OVERLAP, len(rows) // 2)
            step = len(rows) - overlap
            offset += step
        if self.found and self.start == 0 and self.order != OLDEST_FIRST and reads > 1 and not steady:
            self._read_head()

    def listing(self) -> Listing:
        """The rows that were found, up to the row that ends the walk."""
        self._is_stopped(self.found)
        rows: list[Record] = []
        for identity, row in self.found.items():
            if self._stops.get(identity) or len(rows) == self.most:
                return Listing(rows, whole=False)
            rows.append(row)
        return Listing(rows, self.whole)

    def _is_stopped(self, keyed: dict[Any, Record]) -> bool:
        """Whether one of these rows ends the walk. ``until`` is called once for each row."""
        if self.until is None:
            return False
        for identity, row in keyed.items():
            if identity not in self._stops:
                self._stops[identity] = self.until(row)
        return any(self._stops[identity] for identity in keyed)

    def _ignores_offset(self, offset: int) -> bool:
        rows = self.fetch(self.page, offset + _FAR)
        return bool(rows) and _keyed(rows).keys() <= self.found.keys()

    def _read_head(self) -> None:
        """Add the rows that were added at the head during the walk: read the head until a page has no new rows."""
        for _attempt in range(_MAX_HEAD_READS):
            head: dict[Any, Record] = {}
            offset = 0
            while True:
                # A row without an id would count as new each time that it changes, so it is left out.
                rows = self.fetch(self.page, offset)
                keyed = _keyed([row for row in rows if _is_identity(row.get("id"))])
                fresh = bool(keyed.keys() - head.keys())
                head = _merged(head, keyed)
                if not fresh or not self.found.keys().isdisjoint(keyed):
                    break
                offset += len(rows) - min(OVERLAP, len(rows) // 2)
            if head.keys() <= self.found.keys():
                break
            apart = self.found.keys().isdisjoint(head)
            self.found = {**head, **self.found} if apart else _merged(self.found, head)
            if self._is_stopped(head):
                break


def _keyed(rows: Iterable[Record]) -> dict[Any, Record]:
    """Rows by id, in order. The key of a row without a usable id is its JSON text, and a number for equal ones."""
    keyed: dict[Any, Record] = {}
    alike: Counter[str] = Counter()
    for row in rows:
        if _is_identity(row.get("id")):
            keyed[row["id"]] = row
        else:
            text = json.dumps(row, sort_keys=True, default=str)
            alike[text] += 1
            keyed[text, alike[text]] = row
    return keyed


def _is_identity(value: Any) -> bool:
    return isinstance(value, (str, int))


def _merged(found: dict[Any, Record], page: dict[Any, Record]) -> dict[Any, Record]:
    """``found`` with the rows of a page, each placed beside the neighbours that it has in the page."""
    fresh_before: dict[Any, list[Any]] = {}
    waiting: list[Any] = []
    last_known: Any = None
    for identity in page:
        if identity in found:
            if waiting:
                fresh_before[identity] = waiting
            waiting, last_known = [], identity
        else:
            waiting.append(identity)
    if not waiting and not fresh_before:
        return found
    if last_known is None or (not fresh_before and last_known == next(reversed(found))):
        found.update({new: page[new] for new in waiting})
        return found
    merged: dict[Any, Record] = {}
    for identity, row in found.items():
        for new in fresh_before.get(identity, ()):
            merged[new] = page[new]
        merged[identity] = row
        if identity == last_known:
            for new in waiting:
                merged[new] = page[new]
    return merged
