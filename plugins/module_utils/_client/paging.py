# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading a list page by page: one that grows while it is read, and of which only the server knows the page's size.

A server may give fewer rows than were asked for, so a short page is not the end of a list: a page without a new row is.
The reference does not say for every list which row comes first, so the order is found out from the rows' times.
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

Fetch = Callable[[int, int], list[Record]]
Until = Callable[[Record], bool]

OVERLAP = 5
# A head that never stops growing must not keep a reader for ever.
_MOST_HEAD_READS = 20
_MOST_STEPS_BACK = 100
_MOST_IDLE_PAGES = 20
# So many rows further on there are others, or none. A server that gives the same rows there ignores the offset.
_FAR = 100_000

NEWEST_FIRST, OLDEST_FIRST, NO_ORDER = "newest first", "oldest first", "no order"


@dataclass(frozen=True)
class Listing:
    """Rows of a list, newest first where their times tell the order. ``whole``: the list holds no others."""

    rows: list[Record]
    whole: bool


def order_of(rows: Iterable[Record], times: Sequence[str]) -> str:
    """How rows are ordered by their times (keys ``times``); NO_ORDER where these are absent, equal or contradictory.

    Single rows may stand elsewhere than their time says: an event arrives late, two clocks differ.
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
    key: str = "id",
    times: Sequence[str] = (),
    first: int | None = None,
) -> Listing:
    """The rows of a list from offset ``start`` on, each once.

    ``fetch(limit, offset)`` reads one page; ``page`` is the largest limit the API takes, ``first`` the limit of the
    first call. ``most`` ends the walk once that many rows are known; ``until(row)`` ends it at the first row that is
    already known to the caller (that row is left out). Both only end a list that is newest first, which ``times``
    (the keys of the rows' times) tell: any other is read to its end. Without ``times`` it is taken for newest first.
    An offset counts from the newest row, also where the server lists the oldest row first.
    """
    walk = _Walk(fetch, page, most, until, start, key, times, first)
    walk.go()
    if start and times and walk.order == NO_ORDER:
        walk.order = order_of([*fetch(page, 0), *walk.found.values()], times)
    if start and walk.order == OLDEST_FIRST:
        whole = read_list(fetch, page=page, key=key, times=times)
        walk = _Walk(fetch, page, most, until, start, key, times, first)
        walk.found, walk.whole = _keyed(whole.rows[start:], key), whole.whole
    elif walk.order == OLDEST_FIRST:
        walk.found = dict(reversed(walk.found.items()))
    return walk.listing()


def read_all(
    fetch: Fetch,
    *,
    page: int,
    most: int | None = None,
    until: Until | None = None,
    start: int = 0,
    key: str = "id",
    times: Sequence[str] = (),
) -> list[Record]:
    """The rows of read_list."""
    return read_list(fetch, page=page, most=most, until=until, start=start, key=key, times=times).rows


def newest(
    read_page: Fetch, limit: int | None, page: int, start: int = 0, times: Sequence[str] = ()
) -> tuple[list[Record], bool]:
    """The ``limit`` newest rows (None: all) from offset ``start`` on, and whether there are more.

    ``read_page(limit, offset)`` reads one page. One row more than asked tells exactly whether there are more; where
    it comes with the first page, one call does.
    """
    if limit is None:
        return read_all(read_page, page=page, start=start, times=times), False
    first = min(page, limit + 1)
    rows = read_list(read_page, page=page, most=limit + 1, start=start, times=times, first=first).rows
    return rows[:limit], len(rows) > limit


def newest_page(fetch: Fetch, limit: int, page: int, times: Sequence[str]) -> list[Record]:
    """What one page of up to ``limit`` rows shows of a list's newest rows; they may be fewer than there are.

    One call, unless the server lists the oldest row first: then the list is read to its end.
    """
    rows = fetch(limit, 0)
    if order_of(rows, times) != OLDEST_FIRST:
        return rows
    return read_all(fetch, page=page, times=times)[:limit]


@dataclass
class _Walk:
    """One way through a list, from page to page.

    Pages overlap by 5 rows, or by half of a page that is shorter than 10. Where a page shares no row with what is
    known (rows above the cursor vanished), the walk steps back. A page that is longer than the overlap and brings
    nothing new shows a list that grew by a whole page meanwhile, or a server that ignores the offset.
    """

    fetch: Fetch
    page: int
    most: int | None
    until: Until | None
    start: int
    key: str
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
            rows = self.fetch(self.first or self.page if reads == 0 else self.page, offset)
            reads += 1
            keyed = _keyed(rows, self.key)
            apart = self.found.keys().isdisjoint(keyed)
            if overlap and apart and offset > self.start and steps_back < _MOST_STEPS_BACK:
                steps_back += 1
                offset = max(self.start, offset - step)
                continue
            fresh = bool(keyed.keys() - self.found.keys())
            # At the start a page that shares no row with what is known has pushed all that down.
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
                # The only page before ends with just these rows: nothing was put at the head meanwhile.
                steady = reads == 2 and len(rows) == overlap and rows == above[len(above) - overlap :]
                break
            idle = 0 if fresh else idle + 1
            if idle == 1 and self._ignores_offset(offset):
                self.whole = True
                break
            if idle > _MOST_IDLE_PAGES:
                break
            overlap = min(OVERLAP, len(rows) // 2)
            step = len(rows) - overlap
            offset += step
        if self.found and self.start == 0 and self.order != OLDEST_FIRST and reads > 1 and not steady:
            self._read_head()

    def listing(self) -> Listing:
        """What was found, up to the row that ends it."""
        self._is_stopped(self.found)
        rows: list[Record] = []
        for identity, row in self.found.items():
            if self._stops.get(identity) or len(rows) == self.most:
                return Listing(rows, whole=False)
            rows.append(row)
        return Listing(rows, self.whole)

    def _is_stopped(self, keyed: dict[Any, Record]) -> bool:
        """Whether one of these rows ends the walk. Each row is judged once."""
        if self.until is None:
            return False
        for identity, row in keyed.items():
            if identity not in self._stops:
                self._stops[identity] = self.until(row)
        return any(self._stops[identity] for identity in keyed)

    def _ignores_offset(self, offset: int) -> bool:
        rows = self.fetch(self.page, offset + _FAR)
        return bool(rows) and _keyed(rows, self.key).keys() <= self.found.keys()

    def _read_head(self) -> None:
        """Add the rows that were put at the head during the walk: read it until a page brings nothing new."""
        for _attempt in range(_MOST_HEAD_READS):
            head: dict[Any, Record] = {}
            offset = 0
            while True:
                # A row without an id would look new whenever it changed.
                rows = self.fetch(self.page, offset)
                keyed = _keyed([row for row in rows if _is_identity(row.get(self.key))], self.key)
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


def _keyed(rows: Iterable[Record], key: str) -> dict[Any, Record]:
    """Rows by id, in order. Rows of one page without a usable id are told apart by what they say, and by counting."""
    keyed: dict[Any, Record] = {}
    alike: Counter[str] = Counter()
    for row in rows:
        if _is_identity(row.get(key)):
            keyed[row[key]] = row
        else:
            text = json.dumps(row, sort_keys=True, default=str)
            alike[text] += 1
            keyed[text, alike[text]] = row
    return keyed


def _is_identity(value: Any) -> bool:
    return isinstance(value, (str, int))


def _merged(found: dict[Any, Record], page: dict[Any, Record]) -> dict[Any, Record]:
    """``found`` with the rows of a page put where the page shows them: beside the rows that both have."""
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
    if last_known is None:
        return {**found, **page}
    if not fresh_before and last_known == next(reversed(found)):
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
