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
# Pages in a row without a new row: a list that grew, up to a point; a server that ignores the offset, beyond it.
_MOST_IDLE_PAGES = 20


def read_all(
    fetch: Callable[[int, int], list[Record]],
    *,
    page: int,
    most: int | None = None,
    until: Callable[[Record], bool] | None = None,
    start: int = 0,
    key: str = "id",
) -> list[Record]:
    """All rows of a newest-first list, each once, in the server's order.

    ``fetch(limit, offset)`` reads one page; ``page`` is the largest limit the API takes. Pages overlap by 5 rows, and
    where a page shares no row with what is known (rows above the cursor vanished), the walk steps back. After the
    walk the head is read again until a page brings nothing new. ``most`` ends the walk once that many rows are known;
    ``until(row)`` ends it at the first row that is already known to the caller (that row is left out). A walk from an
    offset ``start`` above 0 does not look at the head.
    """
    found: dict[Any, Record] = {}
    step = max(1, page - OVERLAP)
    offset, steps_back, idle_pages = start, 0, 0
    while most is None or len(found) < most:
        rows, ended = _upto(fetch(page, offset), until)
        keyed = _keyed(rows, key)
        if offset > start and not ended and found.keys().isdisjoint(keyed) and steps_back < _MOST_STEPS_BACK:
            steps_back += 1
            offset = max(start, offset - step)
            continue
        before = len(found)
        # At the start a page that shares no row with what is known has pushed all that down.
        pushed = offset == start and found.keys().isdisjoint(keyed)
        found = {**keyed, **found} if pushed else _merged(found, keyed)
        idle_pages = 0 if len(found) > before else idle_pages + 1
        if ended or len(rows) < page or idle_pages > _MOST_IDLE_PAGES:
            break
        offset += step
    if found and start == 0:
        found = _with_new_head(fetch, page, found, until, key)
    return list(found.values())[:most]


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


def _with_new_head(
    fetch: Callable[[int, int], list[Record]],
    page: int,
    found: dict[Any, Record],
    until: Callable[[Record], bool] | None,
    key: str,
) -> dict[Any, Record]:
    """``found`` with the rows that were put at the head during the walk."""
    step = max(1, page - OVERLAP)
    for _attempt in range(_MOST_HEAD_READS):
        head: dict[Any, Record] = {}
        offset = 0
        while True:
            rows, ended = _upto(fetch(page, offset), until)
            # A row without an id would look new at each read.
            keyed = _keyed([row for row in rows if _is_identity(row.get(key))], key)
            head = _merged(head, keyed)
            if ended or len(rows) < page or not found.keys().isdisjoint(keyed):
                break
            offset += step
        if head.keys() <= found.keys():
            break
        found = _merged(found, head) if not found.keys().isdisjoint(head) else {**head, **found}
    return found


def _upto(rows: list[Record], until: Callable[[Record], bool] | None) -> tuple[list[Record], bool]:
    """The rows before the first one that ends the walk, and whether there is one."""
    for position, row in enumerate(rows):
        if until is not None and until(row):
            return rows[:position], True
    return rows, False


def _keyed(rows: list[Record], key: str) -> dict[Any, Record]:
    """Rows by id, in order. A row without a usable id is only equal to itself: shown twice is better than lost."""
    return {(row[key] if _is_identity(row.get(key)) else id(row)): row for row in rows}


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
    merged: dict[Any, Record] = {}
    for identity, row in found.items():
        for new in fresh_before.get(identity, ()):
            merged[new] = page[new]
        merged[identity] = row
        if identity == last_known:
            for new in waiting:
                merged[new] = page[new]
    return merged
