# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The counts that the audit page reads: they say what the raw events say, stored or migrated, pruned or not."""

from __future__ import annotations

import random
from pathlib import Path

from sqlite_utils import Database

from console.collect.api.records import audit_row
from console.record.retention import Retention, rules
from console.record.rows import Cursor
from console.record.schema.migrations import known_names, migrations
from console.record.write.maintenance import open_maintenance
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.seeded import TENANT, ident, iso

NOW, DAY = 1_795_000_000.0, 86400.0
COUNTS = ("audit_daily", "audit_counts", "audit_held")


def event(number: int, at: float | None, draw: random.Random) -> dict[str, object]:
    return {
        "id": f"e{number}",
        "event_ts": iso(at),
        "outcome": draw.choice(["success", "error", "denied", None]),
        "source": draw.choice(["mcp", "api", None]),
        "role": draw.choice(["agent", None]),
        "tool_name": draw.choice(["search", "=fetch", None]),
        "server_slug": draw.choice(["github", "jira", None]),
    }


def stored(path: Path, instances: int = 3, count: int = 120) -> None:
    """Events of some instances in chunks that overlap, as syncs read them; every tenth has no time."""
    draw = random.Random(5)
    with open_store(path) as store:
        for number in range(instances):
            events = [event(n, None if n % 10 == 3 else NOW - draw.uniform(0, 9) * DAY, draw) for n in range(count)]
            for start in range(0, count, 30):
                chunk = [audit_row(TENANT, ident(number), e) for e in events[max(0, start - 7) : start + 30]]
                store.put_audit(chunk, None, Cursor("audit", f"{TENANT}|{ident(number)}"))


def counts(path: Path) -> dict[str, list[dict[str, object]]]:
    return {table: sorted(rows(path, f"SELECT * FROM {table}"), key=repr) for table in COUNTS}


def test_counts_say_what_the_events_say(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stored(path)
    for dimension in ("source", "role", "tool_name", "server_slug"):
        for grain, form in (("day", "%Y-%m-%d"), ("hour", "%Y-%m-%dT%H")):
            counted = rows(
                path,
                f"""SELECT bucket, value, outcome, n FROM audit_counts
                WHERE grain = '{grain}' AND dimension = '{dimension}' ORDER BY 1, 2, 3""",
            )
            raw = rows(
                path,
                f"""SELECT coalesce(strftime('{form}', event_ts, 'unixepoch'), '') AS bucket,
                coalesce({dimension}, '') AS value, coalesce(outcome, '') AS outcome, count(*) AS n FROM audit_events
                WHERE '{grain}' = 'day' OR event_ts IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
            )
            assert counted == raw and len(raw) > 20
    assert [row["events"] for row in rows(path, "SELECT events FROM audit_held")] == [120] * 3


def test_an_older_database_gets_the_same_counts(tmp_path: Path) -> None:
    """Also where raw events were pruned: their days stay, with no server."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    stored(new)
    db = Database(old)
    migrations.apply(db, stop_before="0008_audit_counts")
    db.conn.execute("ATTACH ? AS new", (str(new),))
    db.conn.execute("INSERT INTO audit_events SELECT * FROM new.audit_events")
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
    assert counts(old) == counts(new)

    db = Database(pruned)
    db.conn.execute("INSERT INTO audit_floors VALUES (?, ?, ?)", (TENANT, ident(0), floor))
    # Some of them only: a pruning that was cut off.
    db.conn.execute(
        "DELETE FROM audit_events WHERE instance_id = ? AND event_ts < ? AND event_ts > ?",
        (ident(0), floor, floor - 3 * DAY),
    )
    db.conn.commit()
    db.close()
    open_store(pruned).close()
    whole, kept = counts(new), counts(pruned)
    assert kept["audit_held"] == whole["audit_held"]
    total = "SELECT day, sum(n) AS n FROM audit_daily WHERE instance_id = ? GROUP BY day"
    with Database(new) as a, Database(pruned) as b:
        assert list(a.query(total, [ident(0)])) == list(b.query(total, [ident(0)]))
    assert {row["server_slug"] for row in kept["audit_daily"] if str(row["day"]) > "2026-11-15"} == {
        "",
        "github",
        "jira",
    }


def test_pruning_takes_old_hours_and_no_day(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    stored(path)
    before = counts(path)
    chosen = rules(Retention(audit=3), NOW)
    with open_maintenance(path) as upkeep:
        gone = upkeep.prune(chosen, NOW, lambda *told: None, [0] * len(chosen))
    assert gone["hourly counts of the audit"] > 0
    hours = [str(row["bucket"]) for row in rows(path, "SELECT bucket FROM audit_counts WHERE grain = 'hour'")]
    assert min(hours) == "2026-11-15T00"
    after = counts(path)
    assert after["audit_daily"] == before["audit_daily"] and after["audit_held"] == before["audit_held"]
    assert [r for r in before["audit_counts"] if r["grain"] == "day"] == [
        r for r in after["audit_counts"] if r["grain"] == "day"
    ]


def test_the_migrations_are_all_known() -> None:
    assert known_names() == sorted(known_names())
