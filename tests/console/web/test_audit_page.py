# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit page: the count of each cell leads to exactly the events that it counts, across all pages."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from console.collect.api.records import audit_row
from console.figures import audit
from console.figures.audit import pivot
from console.record.read import audit as audit_queries
from console.record.rows import Cursor
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.page import opened, words
from tests.console.support.seeded import HOSTILE, TENANT, ident
from tests.console.support.seeded_audit import seed_audit

pytestmark = pytest.mark.usefixtures("environment")

NOW = 1_795_560_000.0
COUNTS = ("audit_daily", "audit_fleet_daily", "audit_held")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audited") / "console.db"
    seed_audit(path, 20_000, 12, NOW)
    with sqlite3.connect(path) as conn:
        conn.execute(
            "UPDATE ingest_cursors SET gap_from = ?, gap_to = ? WHERE source = 'audit' AND scope = ?",
            (NOW - 7200, NOW - 3600, f"{TENANT}|{ident(4, 0xB0)}"),
        )
    return path


def test_the_seeded_counts_are_the_same_as_those_of_the_store(tmp_path: Path) -> None:
    seeded, stored = tmp_path / "seeded.db", tmp_path / "stored.db"
    seed_audit(seeded, 600, 3, NOW)
    with open_store(stored) as store:
        for number in range(3):
            found = rows(seeded, "SELECT * FROM audit_events WHERE instance_id = ?", ident(number, 0xB0))
            events = [
                audit_row(TENANT, ident(number, 0xB0), {**event, "event_ts": event["event_ts_raw"]}) for event in found
            ]
            summary = rows(seeded, "SELECT * FROM audit_summaries WHERE instance_id = ?", ident(number, 0xB0))[0]
            store.put_audit(events, summary, Cursor("audit", str(number)))
    for table in COUNTS:
        one, other = (sorted(map(repr, rows(path, f"SELECT * FROM {table}"))) for path in (seeded, stored))
        assert one == other and one


CELLS = [
    ("source", None, None, None, ""),
    ("tool_name", "tool_00", "error", None, ""),
    ("tool_name", "", None, None, ""),
    ("server_slug", "jira", "denied", None, ""),
    ("role", "system", None, "2026-11-20", ""),
    ("source", "api", "success", "2026-11-20T10", ""),
    ("source", "mcp", "error", None, ident(4, 0xB0)),
    ("tool_name", None, None, "2026-11-20", ident(4, 0xB0)),
    ("tool_name", "no such tool", None, None, ""),
]


@pytest.mark.parametrize(("by", "value", "outcome", "bucket", "instance"), CELLS)
def test_a_cell_lists_exactly_the_events_that_it_counts(
    by: str, value: str | None, outcome: str | None, bucket: str | None, instance: str, audited: Path
) -> None:
    grain = "hour" if bucket and len(bucket) > 10 else "day"
    span = audit_queries.span_of(7, grain, NOW, instance)
    cell = audit_queries.AuditCell(span, by, value, outcome, bucket)
    wanted = rows(
        audited,
        f"""SELECT id FROM audit_events WHERE (:v IS NULL OR coalesce({by}, '') = :v)
        AND (:o IS NULL OR outcome = :o) AND (:i = '' OR instance_id = :i)
        AND strftime(:form, event_ts, 'unixepoch') >= :since
        AND (:b IS NULL OR strftime(:form, event_ts, 'unixepoch') = :b)
        ORDER BY event_ts DESC""".replace(":form", "'%Y-%m-%dT%H'" if grain == "hour" else "'%Y-%m-%d'")
        .replace(":since", f"'{span.since}'")
        .replace(":v", "NULL" if value is None else f"'{value}'")
        .replace(":o", "NULL" if outcome is None else f"'{outcome}'")
        .replace(":i", f"'{instance}'")
        .replace(":b", "NULL" if bucket is None else f"'{bucket}'"),
    )
    listed: list[str] = []
    for page in itertools.count(1):
        found, total = audit_queries.audit_events(audited, cell, page, 70)
        assert total == len(wanted)
        listed += found["id"].tolist()
        if len(found) < 70:
            break
    assert listed == [row["id"] for row in wanted]
    if value != "no such tool":
        assert listed
    counts = audit_queries.audit_over_time(audited, by, span)
    for column, word in (("value", value), ("outcome", outcome), ("bucket", bucket)):
        counts = counts if word is None else counts[counts[column] == word]
    assert int(counts["events"].sum()) == len(wanted)


def test_the_pivot_contains_every_event_and_instances_with_gaps_come_first(audited: Path) -> None:
    counts = audit_queries.audit_over_time(audited, "tool_name", audit_queries.span_of(0, "day", NOW))
    table = pivot(counts)
    assert table["events"].sum() == 20_000 == sum(sum(line) for line in table["over_time"])
    assert table[[name for name in table.columns if name.startswith("o:")]].to_numpy().sum() == 20_000
    figure = audit.over_time(counts)
    assert sum(sum(trace.y) for trace in figure.data) == 20_000
    assert len(pivot(counts, 5)) == 5
    covered, total = audit_queries.audit_coverage(audited, 1, 5)
    assert (total, covered["instance_id"][0], covered["gap_to"][0]) == (12, ident(4, 0xB0), NOW - 3600)
    assert audit_queries.audit_totals(audited)["gaps"] == 1


def test_the_page_names_gaps_and_its_address_restores_the_selected_cell(
    audited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = words(opened(monkeypatch, audited, "audit", span="All", by="Server", audit_server_slug="jira"))
    assert "Events of 1 instance are missing" in text and "20,000 of 20,192 events ingested" in text
    wanted = rows(audited, "SELECT count(*) AS n FROM audit_events WHERE server_slug = 'jira'")[0]["n"]
    assert f"{wanted:,} events, newest first" in text
    # A filter with an unknown value counts as no filter.
    app = opened(monkeypatch, audited, "audit", span="All", by="Tool", audit_tool_name=HOSTILE, audit_when="yesterday")
    assert "20,000 events, newest first" in words(app)


def test_the_page_shows_the_instance_of_its_address_whether_named_by_id_or_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    seed_audit(path, 1_000, 3, NOW)
    first, second = ident(1, 0xB0), ident(2, 0x1B0)
    with sqlite3.connect(path) as conn:
        # An instance that was created again has a new id.
        conn.execute("UPDATE instances SET hostname = 'twin' WHERE instance_id IN (?, ?)", (first, ident(2, 0xB0)))
        for table in ("instances", "audit_held", "audit_events", "audit_daily"):
            conn.execute(f"UPDATE {table} SET instance_id = ? WHERE instance_id = ?", (second, ident(2, 0xB0)))
    counts = "SELECT count(*) AS n FROM audit_events WHERE instance_id = ?"
    hosts = audit_queries.audit_instances(path).set_index("instance_id")["host"]
    assert (hosts[first], hosts[second]) == ("twin-000000b0", "twin-000001b0")
    assert "-" not in hosts[ident(0, 0xB0)].partition(".")[0].removeprefix("agent-")
    for instance_id in hosts.index:
        expected = f"{rows(path, counts, instance_id)[0]['n']:,} events, newest first"
        for asked in (instance_id, hosts[instance_id]):
            app = opened(monkeypatch, path, "audit", span="All", instance=asked)
            assert not app.exception
            assert expected in words(app), asked
            assert app.selectbox(key="audit_instance").value == instance_id
