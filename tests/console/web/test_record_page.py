# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page Record health: without data, with a small and a large record, with gaps, and with hostile text."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from console.record.rows import FAILED, GAVE_UP, SENDING, SENT, Cursor, Notification
from console.record.write.ledgers import open_notifications
from console.record.write.maintenance import back_up
from console.record.write.store import open_store
from tests.console.support.page import drawn, opened, words
from tests.console.support.seeded import HOSTILE, TENANT, ident, rolling_run, seed_big, seed_small

pytestmark = pytest.mark.usefixtures("environment")


def test_with_an_empty_database_the_page_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    open_store(path).close()
    text = words(opened(monkeypatch, path, "record"))
    assert "Nothing has been synced yet" in text
    assert "There is no run log folder" in text
    assert "never been backed up" in text


def test_the_page_shows_a_healthy_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    seed_small(path, tmp_path / "runs", time.time())
    text = words(opened(monkeypatch, path, "record"))
    loaded = f"All run logs in {tmp_path / 'runs'} are loaded"
    for word in ("Last backup never", "no events between syncs are missing", loaded,
                 "audit_events", "Gaps 0", "audit events", f"console check --db {path}"):  # fmt: skip
        assert word in text, text
    back_up(path, tmp_path / "copy.db", time.time())
    text = words(opened(monkeypatch, path, "record"))
    assert str(tmp_path / "copy.db") in text
    assert "never been backed up" not in text
    # A copy on another machine, without its sources.
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", "/nowhere/runs")
    text = words(opened(monkeypatch, tmp_path / "copy.db", "record"))
    assert f"of {path}" in text and "Copy for review" in text and "Run logs waiting" not in text


def test_notifications_are_listed_newest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, now = tmp_path / "console.db", time.time()
    seed_small(path, tmp_path / "runs", now)
    text = words(opened(monkeypatch, path, "record"))
    assert "No notification has been sent. Without a rules file (FLEETOPS_NOTIFY_RULES), none are sent." in text

    def fact(number: int, title: str) -> Notification:
        return Notification("ops-chat", "operations", f"run-{number}", "stopped", now, title, now - number, SENDING)

    with open_notifications(path) as ledger:
        for number, (title, ends) in enumerate(
            (
                (HOSTILE, [SENT]),
                ("broken for an hour", [FAILED, FAILED]),
                ("sent the second time", [FAILED, SENT]),
                ("killed", [None]),
                ("killed, then sent", [None, SENT]),
            )
        ):
            for outcome in ends:
                ledger.begin([fact(number, title)], now)
                if outcome:
                    error = "HTTP 500" if outcome == FAILED else None
                    ledger.change([fact(number, title)], outcome=outcome, ended_at=now, error=error)
        ledger.change([fact(9, "given up")], outcome=GAVE_UP, ended_at=now)
    app = opened(monkeypatch, path, "record")
    (table,) = [part for part in drawn(app) if part.startswith("when (UTC) what to")]
    rows = [" ".join(line.split()[2:]) for line in table.splitlines()[1:]]
    assert rows == [
        f"{HOSTILE} ops-chat ✓ sent 1",
        "broken for an hour ops-chat ✕ failed repeated, 2 HTTP 500",
        "sent the second time ops-chat ✓ sent repeated, 2",
        "killed ops-chat ✕ no outcome 1",
        "killed, then sent ops-chat ✓ sent repeated, 2, 1 interrupted",
        "given up ops-chat ✕ gave up 0",
    ]
    assert not any("<img" in part.value for part in app.get("html"))


def test_gaps_are_named_and_hostile_text_is_shown_as_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, now = tmp_path / "console.db", time.time()
    seed_small(path, tmp_path / "runs", now)
    log, _reads = rolling_run(ident(9, 0x9A), now - 50)
    log.write(tmp_path / "runs")
    with open_store(path) as store:
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now - 9000, last_error=HOSTILE))
        store.put_cursor(Cursor("audit", f"{TENANT}|{ident(2, 0xB0)}", last_ok_at=now, gap_from=now - 900, gap_to=now))
        for number in range(120):
            store.put_cursor(Cursor("rollout", f"{TENANT}|{ident(number)}", last_error="500 Internal Server Error"))
    app = opened(monkeypatch, path, "record")
    text = words(app)
    for word in ("Sources with errors 121", "Gaps 1", "122 parts of the sources", "agent-00002", "in 1 run log in"):
        assert word in text, text[:3000]
    assert HOSTILE in [code.value for code in app.code]
    for element in [*app.markdown, *app.caption, *app.header, *app.title]:
        assert "<img" not in element.value and "](http" not in element.value
    first = next(f.value for f in app.dataframe if "last_error" in f.value)
    app = opened(monkeypatch, path, "record", missing_page="2")
    second = next(f.value for f in app.dataframe if "last_error" in f.value)
    assert (len(first), len(second)) == (100, 22)


def test_the_page_shows_a_record_of_20000_targets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    seed_big(path, time.time())
    app = opened(monkeypatch, path, "record")
    sizes = next(f.value for f in app.dataframe if "bytes" in f.value).set_index("table")
    assert sizes.index[0] == "rollout_targets"
    assert sizes.loc["rollout_targets", "rows"] == 20_000
    assert sizes.loc["rollout_targets", "bytes"] > 1_000_000
    before = time.process_time()
    app.run()
    assert not app.exception
    assert time.process_time() - before < 1.0
