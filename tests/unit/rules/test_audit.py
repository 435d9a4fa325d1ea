# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the audit may end early only if no requested event comes later, whatever the order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import read_list
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.audit import (
    CLOCKS_APART,
    end_of_walk,
    passes,
    report_of,
)

PAGE = 12
# The time of an event, and how much later it arrived. The agent's clock may be a little ahead.
EVENTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(-int(CLOCKS_APART), 50_000)), max_size=80)
ORDERS = ["event_ts", "ingested_at", "oldest first", "by arrival, oldest first", "none"]


def listed(events: list[tuple[int, int]], order: str) -> list[dict[str, Any]]:
    """The events in the order in which a server may list them."""
    rows = [
        {"id": f"{number}", "event_ts": iso_time(at), "ingested_at": iso_time(at + lag), "at": at}
        for number, (at, lag) in enumerate(events)
    ]
    if order == "none":
        random.Random(len(rows)).shuffle(rows)
        return rows
    key = "ingested_at" if order in ("ingested_at", "by arrival, oldest first") else "event_ts"
    return sorted(rows, key=lambda row: row[key], reverse=order in ("event_ts", "ingested_at"))


@pytest.mark.parametrize("order", ORDERS[:4])
@given(events=EVENTS, start=st.integers(0, 110_000))
def test_no_event_is_lost_in_any_order(order: str, events: list[tuple[int, int]], start: int) -> None:
    rows = listed(events, order)
    until = end_of_walk(rows[:PAGE], start)
    read = read_list(lambda limit, offset: rows[offset : offset + limit], page=PAGE, until=until).rows
    wanted = {row["id"] for row in rows if row["at"] >= start}
    assert wanted <= {row["id"] for row in read}
    assert {row["id"] for row in read if passes(row, start, {})} == wanted


@pytest.mark.parametrize("order", ORDERS[:2])
def test_a_long_history_is_not_read_to_its_end(order: str) -> None:
    rows = listed([(at * 1000, 20) for at in range(1000)], order)
    calls: list[int] = []

    def fetch(limit: int, offset: int) -> list[dict[str, Any]]:
        calls.append(offset)
        return rows[offset : offset + limit]

    read_list(fetch, page=PAGE, until=end_of_walk(rows[:PAGE], 990_000))
    assert len(calls) <= 3


@pytest.mark.parametrize("order", ORDERS[2:])
def test_an_order_that_is_not_newest_first_does_not_end_the_read(order: str) -> None:
    assert end_of_walk(listed([(at * 1000, 20) for at in range(PAGE)], order), 10**9) is None


@pytest.mark.parametrize("times", [[], ["2026-01-01T00:00:00Z"], [None, None], ["2026-01-01"] * 3, ["soon", "late"]])
def test_a_page_without_a_recognisable_order_does_not_end_the_read(times: list[Any]) -> None:
    assert end_of_walk([{"event_ts": at} for at in times], 10**10) is None


def test_filters_accept_any_spelling_and_keep_events_without_a_time() -> None:
    event = {"event_ts": None, "outcome": "Denied", "source": None, "tool_name": "find_customer"}
    assert passes(event, 10.0, {"outcome": ["error", "denied"], "source": []})
    assert not passes(event, None, {"source": ["agent"]})
    assert passes({**event, "event_ts": "1970-01-01T00:00:10"}, 10.0, {})
    assert not passes({**event, "event_ts": "1970-01-01T00:00:09"}, 10.0, {})
    assert passes({"event_ts": 7}, None, {"outcome": []})


def counted(total: Any, error: Any = 0) -> dict[str, Any]:
    return {"summary": {"total_events": total, "error_events": error, "success_events": 1, "denied_events": 0}}


NOT_READ = {"skipped": True, "msg": "Not done: the server refused the key to an earlier task of this run."}


@pytest.mark.parametrize("count", [None, "", "many", -1, 1.5, True, [], {}])
def test_an_unknown_count_is_neither_0_nor_part_of_a_total(count: Any) -> None:
    report = report_of(["a", "b"], {"a": counted(count), "b": counted("7", 2)}, None)
    assert report["counts"]["a"] == {"total_events": None, "success_events": 1, "error_events": 0, "denied_events": 0}
    assert report["totals"] == {"total_events": 7, "success_events": 2, "error_events": 2, "denied_events": 0}
    assert report["incomplete"] == {
        "total_events": ["a"], "success_events": [], "error_events": [], "denied_events": [],
    }  # fmt: skip
    assert report_of(["a"], {"a": counted(count)}, None)["totals"]["total_events"] is None


def test_an_instance_with_an_unread_part_counts_as_unread_and_not_as_without_events() -> None:
    summaries = {"a": counted(1), "b": NOT_READ, "c": counted(3)}
    events = {"a": {"events": [{"id": "e"}], "reaches_since": False}, "b": NOT_READ, "c": NOT_READ}
    report = report_of(["a", "b", "c", "d"], summaries, events, since="2026-11-23")
    assert report["unread"] == ["b", "c", "d"] and list(report["instances"]) == ["a"]
    assert report["events"] == {"a": [{"id": "e"}]} and report["cut_off"] == ["a"]
    assert report["totals"]["total_events"] == 1
    without_events = report_of(["a", "b", "c", "d"], summaries, None)
    assert without_events["unread"] == ["b", "d"] and without_events["events"] == {"a": [], "c": []}
