# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The counts that the audit page reads match the events, also after a migration and after pruning."""

from __future__ import annotations

import random
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlite_utils import Database

from console.collect.api.records import audit_row
from console.record.read import audit
from console.record.retention import Retention, removals
from console.record.rows import Cursor
from console.record.schema.audit import FILL
from console.record.schema.migrations import known_names, migrations
from console.record.write.maintenance import open_maintenance
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.seeded import TENANT, ident, iso

NOW, DAY = 1_795_000_000.0, 86400.0


def event(number: int, at: float | None, rng: random.Random) -> dict[str, object]:
    return {
        "id": f"e{number}",
        "event_ts": iso(at),
        "outcome": rng.choice(["success", "error", "denied", None]),
        "source": rng.choice(["mcp", "api", None]),
        "role": rng.choice(["agent", None]),
        "tool_name": rng.choice(["search", "=fetch", None]),
        "server_slug": rng.choice(["github", "jira", None]),
    }


def stored(path: Path, instances: int = 3, count: int = 120) -> None:
    """Store events of some instances in overlapping chunks, as syncs read them. Every tenth has no time."""
    rng = random.Random(5)
    with open_store(path) as store:
        for number in range(instances):
            events = [event(n, None if n % 10 == 3 else NOW - rng.uniform(0, 9) * DAY, rng) for n in range(count)]
            for start in range(0, count, 30):
                chunk = [audit_row(TENANT, ident(number), e) for e in events[max(0, start - 7) : start + 30]]
                store.put_audit(chunk, None, Cursor("audit", f"{TENANT}|{ident(number)}"))


def test_an_event_whose_id_is_stored_in_another_form_is_counted_once(tmp_path: Path) -> None:
    path, came = tmp_path / "console.db", {"id": "half of a pair \ud83d", "event_ts": iso(NOW), "source": "mcp"}
    for added in (1, 0):
        with open_store(path) as store:
            assert store.put_audit([audit_row(TENANT, ident(0), came)], None, Cursor("audit", ident(0))) == added
    assert held(path) == 1
    assert counted(path, "source") == {("2026-11-18", "mcp", ""): 1}


def counted(path: Path, by: str, grain: str = "day", instance: str = "") -> dict[tuple[str, str, str], int]:
    """The counts that the page shows, by bucket, value and outcome."""
    span = audit.span_of(0 if grain == "day" else 7, grain, NOW, instance)  # type: ignore[arg-type]
    frame = audit.audit_over_time(path, by, span)
    return {(b, v, o): int(n) for b, v, o, n in frame[["bucket", "value", "outcome", "events"]].itertuples(index=False)}


def held(path: Path) -> int:
    """The number of events that are counted as ingested."""
    return int(rows(path, "SELECT sum(events) AS n FROM audit_held")[0]["n"])


def shown(path: Path) -> dict[str, dict[tuple[str, str, str], int]]:
    """All counts by day, of the fleet and of one instance."""
    places = [(by, instance) for by in audit.AUDIT_DIMENSIONS for instance in ("", ident(0))]
    return {f"{by} {instance}": counted(path, by, "day", instance) for by, instance in places}


def of_events(path: Path, by: str, form: str, since: float) -> dict[tuple[str, str, str], int]:
    """The same counts, computed from the events."""
    found = rows(
        path,
        f"""SELECT coalesce(strftime('{form}', event_ts, 'unixepoch'), '') AS bucket, coalesce({by}, '') AS value,
        coalesce(outcome, '') AS outcome, count(*) AS n FROM audit_events
        WHERE {"1" if since < 0 else f"event_ts >= {since}"} GROUP BY 1, 2, 3""",
    )
    return {(row["bucket"], row["value"], row["outcome"]): row["n"] for row in found}


@pytest.mark.parametrize("by", audit.AUDIT_DIMENSIONS)
def test_the_counts_of_days_and_hours_match_the_events(by: str, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stored(path)
    days, hours = (
        of_events(path, by, "%Y-%m-%d", -1),
        of_events(path, by, "%Y-%m-%dT%H", NOW // 3600 * 3600 - 167 * 3600),
    )
    assert counted(path, by) == days and len(days) > 20
    assert counted(path, by, "hour") == hours and len(hours) > 20
    assert held(path) == 360


@pytest.mark.parametrize("by", audit.AUDIT_DIMENSIONS)
def test_the_hours_of_the_instances_add_up_to_those_of_the_fleet(by: str, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stored(path)
    each = [counted(path, by, "hour", ident(number)) for number in range(3)]
    added: dict[tuple[str, str, str], int] = {}
    for counts in each:
        for key, n in counts.items():
            added[key] = added.get(key, 0) + n
    assert added == counted(path, by, "hour") and all(each)


def at_version(source: Path, path: Path, stop_before: str) -> Database:
    """An older database with the same events."""
    db = Database(path)
    migrations.apply(db, stop_before=stop_before)
    db.conn.execute("ATTACH ? AS new", (str(source),))
    db.conn.execute("INSERT INTO audit_events SELECT * FROM new.audit_events")
    return db


def test_a_database_from_before_the_counts_shows_the_same_after_the_migration(tmp_path: Path) -> None:
    """If raw events were pruned, their daily counts stay, but without the server."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    stored(new)
    db = at_version(new, old, "0008_audit_counts")
    db.conn.execute(
        "INSERT INTO audit_daily SELECT tenant, instance_id, day, source, outcome, role, tool_name, sum(n)"
        " FROM new.audit_daily GROUP BY 1, 2, 3, 4, 5, 6, 7"
    )
    db.conn.commit()
    floor = (NOW - 4 * DAY) // DAY * DAY
    pruned = tmp_path / "pruned.db"
    db.conn.execute("VACUUM INTO ?", (str(pruned),))
    db.close()
    open_store(old).close()
    assert shown(old) == shown(new)

    db = Database(pruned)
    db.conn.execute("INSERT INTO audit_floors VALUES (?, ?, ?)", (TENANT, ident(0), floor))
    # Only some of them, as after an interrupted pruning.
    db.conn.execute(
        "DELETE FROM audit_events WHERE instance_id = ? AND event_ts < ? AND event_ts > ?",
        (ident(0), floor, floor - 3 * DAY),
    )
    db.conn.commit()
    db.close()
    open_store(pruned).close()
    assert held(pruned) == 360
    whole, kept = shown(new), shown(pruned)
    for by in ("source", "role", "tool_name"):
        assert [kept[f"{by} {i}"] for i in ("", ident(0))] == [whole[f"{by} {i}"] for i in ("", ident(0))]
    of_day = [{}, {}]
    for number, servers in enumerate((whole[f"server_slug {ident(0)}"], kept[f"server_slug {ident(0)}"])):
        for (day, _server, outcome), n in servers.items():
            of_day[number][day, outcome] = of_day[number].get((day, outcome), 0) + n
    assert of_day[0] == of_day[1]
    assert {server for day, server, _outcome in kept[f"server_slug {ident(0)}"] if day > "2026-11-15"} > {""}


def test_a_migration_keeps_the_days_without_events_and_drops_the_table_of_hours(tmp_path: Path) -> None:
    """For days without events only the counts are left, even of instances that no longer have any event."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    stored(new)
    db = at_version(new, old, "0013_audit_fleet_daily")
    for statement in FILL:
        db.conn.execute(statement)
    gone = (TENANT, ident(7), "2026-01-01", "mcp", "success", "", "", "", 7)
    db.conn.execute("INSERT INTO audit_daily VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", gone)
    # As in a database of a console that counted by hour.
    db.conn.execute("CREATE TABLE audit_counts (grain TEXT, dimension TEXT, bucket TEXT, value TEXT, n INTEGER)")
    db.conn.commit()
    db.close()
    open_store(old).close()
    assert {key: n for key, n in counted(old, "source").items() if key not in counted(new, "source")} == {
        ("2026-01-01", "mcp", "success"): 7
    }
    for by in audit.AUDIT_DIMENSIONS:
        assert counted(old, by, "hour") == counted(new, by, "hour")
        assert counted(old, by, "day", ident(1)) == counted(new, by, "day", ident(1))
    assert rows(old, "SELECT name FROM sqlite_master WHERE name = 'audit_counts'") == []


def test_pruning_deletes_events_and_keeps_the_counts_of_days(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stored(path)
    before = shown(path)
    with patch("console.record.retention.NEWEST_AUDIT", 2):
        chosen = removals(Retention(audit=3), NOW)
    with open_maintenance(path) as database:
        gone = database.prune(chosen, NOW, lambda *progress: None, [0] * len(chosen))
    assert gone["raw audit events"] > 100
    assert shown(path) == before and held(path) == 360
    hours = {bucket for bucket, _value, _outcome in counted(path, "source", "hour")}
    assert min(hours) >= "2026-11-15T00"


def test_the_names_of_the_migrations_are_in_order() -> None:
    assert known_names() == sorted(known_names())
