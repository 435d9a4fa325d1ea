# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading a list that grows at its head while it is read (behaviour 2.7, Pagination)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .models import Record

OVERLAP = 5
# A head that never stops growing must not keep a reader for ever.
_MOST_HEAD_READS = 20
_MOST_STEPS_BACK = 100


def read_all(
    fetch: Callable[[int, int], list[Record]],
    *,
    page: int,
    most: int | None = None,
    until: Callable[[Record], bool] | None = None,
    start: int = 0,
    key: str = "id",
) -> list[Record]:
    """All rows of a newest-first list, each once, newest first, in the server's order.

    ``fetch(limit, offset)`` reads one page; ``page`` is the largest limit the API takes. Pages overlap by 5 rows, and
    where a page shares no row with what is known (rows above the cursor vanished), the walk steps back. After the
    walk the head is read again until a page brings nothing new. ``most`` ends the walk once that many rows are known;
    ``until(row)`` ends it at the first row that is already known to the caller (that row is left out). A walk from an
    offset ``start`` above 0 does not look at the head.
    """
    walked: list[Record] = []
    known: set[Any] = set()
    step = max(1, page - OVERLAP)
    offset, steps_back, idle_pages = start, 0, 0
    ended = False
    while not ended and (most is None or len(walked) < most):
        rows = fetch(page, offset)
        overlaps = any(_identity(row, key) in known for row in rows)
        if offset > start and rows and not overlaps and steps_back < _MOST_STEPS_BACK:
            steps_back += 1
            offset = max(start, offset - step)
            continue
        fresh, ended = _fresh(rows, known, key, until)
        walked += fresh
        # A server that ignores the offset answers the same rows for ever.
        idle_pages = 0 if fresh else idle_pages + 1
        if len(rows) < page or idle_pages > 1:
            break
        offset += step
    head = _new_at_head(fetch, page, known, key, until) if walked and start == 0 else []
    found = head + walked
    return found if most is None else found[:most]


def newest(
    read_page: Callable[[int, int], list[Record]], limit: int | None, page: int, start: int = 0
) -> tuple[list[Record], bool]:
    """The ``limit`` newest rows (None: all) from offset ``start`` on, and whether there are more.

    ``read_page(limit, offset)`` reads one page. One row more than asked tells exactly whether there are more; where
    it fits into one page, one call does.
    """
    if limit is None:
        return read_all(read_page, page=page, start=start), False
    rows = read_page(limit + 1, start) if limit < page else read_all(read_page, page=page, most=limit + 1, start=start)
    return rows[:limit], len(rows) > limit


def _new_at_head(
    fetch: Callable[[int, int], list[Record]],
    page: int,
    known: set[Any],
    key: str,
    until: Callable[[Record], bool] | None,
) -> list[Record]:
    """Rows that were put at the head during the walk, newest first."""
    head: list[Record] = []
    for _attempt in range(_MOST_HEAD_READS):
        new: list[Record] = []
        offset = 0
        while True:
            rows = fetch(page, offset)
            reached = any(_identity(row, key) in known for row in rows)
            fresh, ended = _fresh(rows, known, key, until)
            new += fresh
            if reached or ended or len(rows) < page:
                break
            offset += max(1, page - OVERLAP)
        if not new:
            break
        head = new + head
    return head


def _fresh(
    rows: list[Record], known: set[Any], key: str, until: Callable[[Record], bool] | None
) -> tuple[list[Record], bool]:
    """The rows not seen before, up to the first one that ends the walk; adds them to ``known``."""
    fresh: list[Record] = []
    for row in rows:
        if until is not None and until(row):
            return fresh, True
        identity = _identity(row, key)
        if identity not in known:
            known.add(identity)
            fresh.append(row)
    return fresh, False


def _identity(row: Record, key: str) -> Any:
    value = row.get(key)
    # A row without an id is only equal to itself: showing it twice is better than losing it.
    return value if value is not None else id(row)
