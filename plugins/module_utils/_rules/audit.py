# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Audit events (E20): which of them match filters, and at which event reading the list may end. Pure functions.

The API has no time filter and no documented order of events, and events are recorded some time after they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .answers import normalise, parse_time

# Seconds by which the clock of an agent may differ from the server's.
CLOCKS_APART = 300.0
_TIMES = ("event_ts", "ingested_at")


def passes(event: Mapping[str, Any], start: float | None, words: Mapping[str, Collection[str]]) -> bool:
    """Whether an event happened at ``start`` (epoch seconds; None for any time) or later, and matches ``words``.

    ``words``: the values that are accepted, by key; any value for an empty entry. An event without a valid time counts
    as later than ``start``, so that no event gets lost.
    """
    at = parse_time(event.get("event_ts"))
    if start is not None and at is not None and at < start:
        return False
    return all(
        normalise(event.get(name)) in {normalise(word) for word in wanted} for name, wanted in words.items() if wanted
    )


def end_of_walk(page: Sequence[Mapping[str, Any]], start: float) -> Callable[[Mapping[str, Any]], bool] | None:
    """A function that is true for an event after which all further rows happened before ``start`` (epoch seconds).

    None if no event can show that. ``page``: the first page of the list. If one of its times falls from row to row, the
    list is ordered by that time, and ends at an event that is well before ``start``. If both times fall, the list may
    be ordered by either, so both must be before ``start``.
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
