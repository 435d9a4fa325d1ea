# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Audit events (E20): which ones pass filters, and when a walk through them may end. Pure functions.

The API has no filter of time, does not say how it orders events, and takes events in after they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .answers import normalise, parse_time

# Seconds by which the clock of an agent may be ahead of the server's, where events are listed by arrival.
CLOCKS_APART = 300.0
_TIMES = ("event_ts", "ingested_at")


def passes(event: Mapping[str, Any], start: float | None, words: Mapping[str, Collection[str]]) -> bool:
    """Whether an event is of ``start`` (epoch seconds) or later and says, key by key, one of ``words``.

    An event without a readable time passes, so that none gets lost.
    """
    at = parse_time(event.get("event_ts"))
    if start is not None and at is not None and at < start:
        return False
    return all(
        normalise(event.get(name)) in {normalise(word) for word in wanted} for name, wanted in words.items() if wanted
    )


def end_of_walk(page: Sequence[Mapping[str, Any]], start: float) -> Callable[[Mapping[str, Any]], bool] | None:
    """Whether an event shows that no later one in the list is of ``start`` or after; None if nothing can show that.

    ``page`` is the first page. If its times fall from row to row, the list is newest first by that time, and an event
    well before ``start`` ends the walk. Where both times fall either may be the order, so both must be before.
    """
    falling = [name for name in _TIMES if _falls([parse_time(row.get(name)) for row in page])]
    if not falling:
        return None

    def ends(event: Mapping[str, Any]) -> bool:
        times = [parse_time(event.get(name)) for name in falling]
        return all(at is not None and at < start - CLOCKS_APART for at in times)

    return ends


def _falls(times: Sequence[float | None]) -> bool:
    known = [at for at in times if at is not None]
    return len(known) == len(times) > 1 and known[0] > known[-1] and all(a >= b for a, b in pairwise(known))
