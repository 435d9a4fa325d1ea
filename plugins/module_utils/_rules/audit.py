# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Audit events (E20): which match filters, where reading the list may end, and the report. Pure functions.

The API has no time filter and no documented order of events, and events are recorded some time after they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .answers import Record, known_count, normalise, parse_time
from .ids import same_id

# Seconds by which the clock of an agent may differ from the server's.
CLOCKS_APART = 300.0
# The keys with the times of an event.
AUDIT_TIMES = ("event_ts", "ingested_at")
_COUNTS = ("total_events", "success_events", "error_events", "denied_events")


def report_of(
    names: Sequence[str],
    summaries: Mapping[str, Mapping[str, Any]],
    events: Mapping[str, Mapping[str, Any]] | None,
    *,
    since: str = "",
) -> Record:
    """The audit report of several instances, by name.

    ``summaries`` and ``events``: the results of instance_audit_info, by name; ``events`` is None if none were to be
    read. ``names``: all instances of the report. Those without a result are listed under ``unread``.

    ``instances``: the summaries as the server gave them. ``counts``: their counts, None if unknown. ``totals``: the
    sums of the known counts, None if none is known. ``incomplete``: for each total, the names of the instances whose
    count is unknown. ``cut_off``: those that may have more events since ``since`` than were read.
    """
    read = {name: summaries[name]["summary"] for name in names if "summary" in summaries.get(name, {})}
    if events is not None:
        read = {name: summary for name, summary in read.items() if "events" in events.get(name, {})}
    counts = {name: {key: known_count(summary.get(key)) for key in _COUNTS} for name, summary in read.items()}
    known = {key: [row[key] for row in counts.values() if row[key] is not None] for key in _COUNTS}
    listed = events or {}
    return {
        "instances": read,
        "counts": counts,
        "totals": {key: sum(found) if found else None for key, found in known.items()},
        "incomplete": {key: [name for name, row in counts.items() if row[key] is None] for key in _COUNTS},
        "events": {name: listed[name]["events"] if name in listed else [] for name in read},
        "cut_off": [name for name in read if listed.get(name, {}).get("reaches_since") is False],
        "unread": [name for name in names if name not in read],
        "since": since,
    }


def names_with_results_of_others(ids: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names whose result of instance_audit_info belongs to another instance. ``ids``: the instance ids, by name."""
    return [
        name
        for name, result in results.items()
        if result.get("instance_id") and not same_id(result["instance_id"], ids.get(name))
    ]


def passes(event: Mapping[str, Any], start: float | None, words: Mapping[str, Collection[str]]) -> bool:
    """Whether an event happened at ``start`` (epoch seconds; None for any time) or later, and matches ``words``.

    ``words``: the values that are accepted, by key. An empty entry accepts any value. An event without a valid time
    counts as later than ``start``, so that no event is lost.
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
    list is ordered by that time, so an event that is well before ``start`` shows it. If both times fall, the list may
    be ordered by either, so both must be well before ``start``.
    """
    falling = [name for name in AUDIT_TIMES if _falls([parse_time(row.get(name)) for row in page])]
    if not falling:
        return None

    def ends(event: Mapping[str, Any]) -> bool:
        times = [parse_time(event.get(name)) for name in falling]
        return all(at is not None and at < start - CLOCKS_APART for at in times)

    return ends


def _falls(times: Sequence[float | None]) -> bool:
    known = [at for at in times if at is not None]
    return len(known) == len(times) > 1 and known[0] > known[-1] and all(a >= b for a, b in pairwise(known))
