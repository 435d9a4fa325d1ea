# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The numbers on the audit page match a simple count of the events, even if they were synced twice, late, or pruned."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.collect.api.records import audit_row, summary_row
from console.record.read import audit as audit_queries
from console.record.retention import Retention, removals
from console.record.rows import Cursor
from console.record.write.maintenance import open_maintenance
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.seeded import TENANT, ident, iso

NOW, HOUR, DAY = 1_795_000_000.0, 3600.0, 86400.0
WORDS = {
    "source": ("mcp", "api", None),
    "outcome": ("success", "error", None),
    "tool_name": ("search", "=fetch", None),
    "role": ("agent", None),
    "server_slug": ("jira", None),
}
# Few times, so that events share an hour; some on the hour, before 1970, or without a time.
TIMES = st.sampled_from(
    [
        None,
        -HOUR,
        -0.5,
        *(NOW // HOUR * HOUR - back for back in (0, 0.25, HOUR, 30 * HOUR, 3 * DAY, 40 * DAY, 95 * DAY)),
    ]
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "instance": st.integers(0, 2),
            "id": st.integers(0, 30),
            "at": TIMES,
            **{name: st.sampled_from(words) for name, words in WORDS.items()},
        }
    ),
    min_size=1,
    max_size=25,
)
PRUNED = st.sampled_from([1, 30])
STEPS = st.builds(
    lambda first, pruned, more: [first, *pruned, *more],
    EVENTS,
    st.lists(PRUNED, max_size=1),
    st.lists(st.one_of(EVENTS, PRUNED), max_size=3),
)


def sync(path: Path, events: list[dict], step: int, known: dict[tuple[int, int], dict]) -> None:
    """Store events and the API's totals. ``known`` collects the first event that was read for each id."""
    floors = {row["instance_id"]: row["floor"] for row in rows(path, "SELECT instance_id, floor FROM audit_floors")}
    with open_store(path) as store:
        for number in sorted({event["instance"] for event in events}):
            # If an id occurs twice in an answer, the last event counts. The event of a known id does not change.
            mine = {event["id"]: event for event in events if event["instance"] == number}
            read = [
                audit_row(TENANT, ident(number), {**event, "id": f"e{event['id']}", "event_ts": iso(event["at"])})
                for event in events
                if event["instance"] == number
            ]
            for name, event in mine.items():
                # Events from before the end of the pruned time are not stored, even if they are new.
                # A time before 1970 counts as unknown.
                if event["at"] is None or event["at"] < 0 or event["at"] >= floors.get(ident(number), -1e18):
                    known.setdefault((number, name), event)
            total = {"total_events": 40 + step, "success_events": step, "error_events": 1, "denied_events": 0}
            store.put_audit(
                read,
                summary_row(TENANT, ident(number), total, NOW + step),
                Cursor("audit", f"{TENANT}|{ident(number)}", gap_from=NOW if number == 1 else None),
            )


def prune(path: Path, days: int) -> None:
    # The newest two events of each instance are kept, so that few events are enough for a pruning.
    with patch("console.record.retention.NEWEST_AUDIT", 2):
        chosen = removals(Retention(audit=days), NOW)
    with open_maintenance(path) as upkeep:
        upkeep.prune(chosen, NOW, lambda *progress: None, [0] * len(chosen))


def plain(path: Path, cell: audit_queries.AuditCell) -> list[str]:
    """The events of the cell, newest first, found by examining every stored event."""
    form = "%Y-%m-%dT%H" if cell.span.grain == "hour" else "%Y-%m-%d"
    found = rows(
        path,
        f"""SELECT id, instance_id, coalesce({cell.by}, '') AS value, coalesce(outcome, '') AS outcome,
        strftime('{form}', floor_s, 'unixepoch') AS bucket FROM (
          SELECT *, CAST(event_ts + 1e10 AS INTEGER) - 10000000000 AS floor_s FROM audit_events)
        WHERE event_ts IS NOT NULL ORDER BY event_ts DESC, id, instance_id""",
    )
    return [
        row["instance_id"] + row["id"]
        for row in found
        if cell.value in (None, row["value"])
        and cell.outcome in (None, row["outcome"])
        and cell.bucket in (None, row["bucket"])
        and cell.span.instance_id in ("", row["instance_id"])
        and row["bucket"] >= cell.span.since
    ]


def listed(path: Path, cell: audit_queries.AuditCell) -> list[str]:
    found: list[str] = []
    for page in range(1, 40):
        frame, total = audit_queries.audit_events(path, cell, page, 7)
        assert total == len(plain(path, cell))
        found += (frame["instance_id"] + frame["id"]).tolist() if len(frame) else []
        if len(frame) < 7:
            return found
    raise AssertionError("there are too many pages")


def test_a_late_event_of_a_pruned_day_is_listed_with_the_remaining_events(tmp_path: Path) -> None:
    path, at, known = tmp_path / "console.db", NOW // HOUR * HOUR - 40 * DAY, {}
    open_store(path).close()
    words = dict.fromkeys(WORDS)
    # The newest two are kept, so the pruned time ends with the day of the third newest.
    sync(path, [{"instance": 0, "id": number, "at": at + number * DAY, **words} for number in range(5)], 0, known)
    prune(path, 30)
    sync(path, [{"instance": 2, "id": 9, "at": at + 9, **words}], 1, known)
    everything = audit_queries.AuditCell(audit_queries.span_of(0, "day", NOW))
    assert (
        listed(path, everything)
        == plain(path, everything)
        == [
            ident(0) + "e4",
            ident(0) + "e3",
            ident(2) + "e9",
        ]
    )
    assert audit_queries.audit_over_time(path, "source", audit_queries.AuditSpan())["events"].sum() == 6


def event_of(number: int, at: float) -> dict:
    words = {"source": "mcp", "outcome": "success", "tool_name": "search", "role": "agent", "server_slug": "jira"}
    return {"instance": 0, "id": number, "at": at, **words}


@settings(max_examples=20, deadline=None)
# A second pruning that keeps more than the first.
@example(
    steps=[[event_of(0, NOW - 3 * 86400), event_of(1, NOW - 400), event_of(2, NOW - 400)], 1, 30],
    by="source",
    pick=(False, False, False, 0),
    days=0,
    grain="day",
    instance="",
)
@given(
    steps=STEPS,
    by=st.sampled_from(audit_queries.AUDIT_DIMENSIONS),
    pick=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2)),
    days=st.sampled_from([0, 1, 7, 90]),
    grain=st.sampled_from(["day", "hour"]),
    instance=st.sampled_from(["", ident(0), ident(1)]),
)
def test_the_counts_and_lists_match_a_simple_count_of_the_events(
    steps: list, by: str, pick: tuple[bool, bool, bool, int], days: int, grain: str, instance: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, known, sent = Path(folder) / "console.db", {}, {}
        open_store(path).close()
        for number, step in enumerate(steps):
            if isinstance(step, int):
                prune(path, step)
            else:
                # The API always sends the same event for an id.
                step = [sent.setdefault((event["instance"], event["id"]), event) for event in step]
                sync(path, step, number, known)
                # An event that is read twice is counted once.
                sync(path, step, number, known)
        span = audit_queries.span_of(days, grain, NOW, instance)  # type: ignore[arg-type]
        counts = audit_queries.audit_over_time(path, by, audit_queries.span_of(days, "day", NOW, instance))
        since = audit_queries.span_of(days, "day", NOW).since
        of_time = [
            event
            for (number, _id), event in known.items()
            if instance in ("", ident(number))
            and (not since or (event["at"] is not None and event["at"] >= days_begin(since)))
        ]
        expected: dict[tuple[str, str], int] = {}
        for event in of_time:
            key = (event[by] or "", event["outcome"] or "")
            expected[key] = expected.get(key, 0) + 1
        assert counts.groupby(["value", "outcome"])["events"].sum().to_dict() == expected
        buckets = [b for b in counts["bucket"] if b]
        if grain == "day" and not days:
            everything = audit_queries.AuditCell(audit_queries.span_of(0, "day", NOW), by)
            assert listed(path, everything) == plain(path, everything)
        cell = audit_queries.AuditCell(
            span,
            by,
            (WORDS[by][pick[3] % len(WORDS[by])] or "") if pick[0] else None,
            (WORDS["outcome"][pick[3]] or "") if pick[1] else None,
            buckets[0] if pick[2] and buckets and grain == "day" else None,
        )
        assert listed(path, cell) == plain(path, cell)
        newest = rows(path, "SELECT instance_id, total, max(taken_at) AS at FROM audit_summaries GROUP BY instance_id")
        totals = audit_queries.audit_totals(path)
        mine = Counter(ident(number) for number, _id in known)
        # Events that the API no longer counts do not make up for missing events of other instances.
        held = sum(min(mine[row["instance_id"]], row["total"]) for row in newest)
        assert (totals["instances"], totals["held"]) == (len(newest), held)
        assert totals["total"] == sum(row["total"] for row in newest)
        assert totals["gaps"] == len([row for row in newest if row["instance_id"] == ident(1)])
        covered, count = audit_queries.audit_coverage(path)
        assert count == len(newest)
        assert dict(zip(covered["instance_id"], covered["total"], strict=True)) == {
            row["instance_id"]: row["total"] for row in newest
        }


def days_begin(day: str) -> float:
    return float(audit_queries._begin(day))
