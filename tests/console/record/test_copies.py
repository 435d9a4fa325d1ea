# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy for review: it is marked as a copy, nothing can be synced into it, and it can be adopted as a database."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest
from sqlite_utils import Database

from console.__main__ import main
from console.record.opening import DatabaseProblem
from console.record.read import freshness, record_health
from console.record.schema.migrations import known_names, migrations
from console.record.write.ledgers import open_ledger
from console.record.write.maintenance import back_up
from console.record.write.store import open_store
from console.settings.identity import Identity
from console.settings.login_file import Acting
from tests.console.support.every_page import declared_pages
from tests.console.support.facts import rows
from tests.console.support.page import opened, words
from tests.console.support.seeded import FLEET, OPEN, RUN, ident, rolling_run, seed_small

pytestmark = pytest.mark.usefixtures("environment")

NOW = 1795514400.0  # 2026-11-24 10:00 UTC


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy made at NOW, and another run log that is not in it."""
    shelf = tmp_path / "a shelf"
    shelf.mkdir()
    seed_small(tmp_path / "console.db", tmp_path / "theirs", time.time())
    back_up(tmp_path / "console.db", shelf / "copy.db", NOW)
    log, _reads = rolling_run(ident(9, 0x9A), time.time() - 500)
    (tmp_path / "runs").mkdir()
    log.write(tmp_path / "runs")
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(shelf / "copy.db"))
    return shelf / "copy.db"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> bool:
    code = main(arguments)
    complaint = capsys.readouterr().err
    is_refused = "is a copy for review, made on 2026-11-24 10:00 UTC" in complaint
    return code == 3 and is_refused and len(complaint.splitlines()) == 1


def test_nothing_is_synced_into_a_copy_until_it_is_adopted(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (freshness.freshness(copy).copied_at, freshness.freshness(copy.parents[1] / "console.db").copied_at) == (
        NOW,
        None,
    )
    before = copy.read_bytes()
    assert refused(["sync", "--no-api", "--quiet"], capsys)
    assert refused(["sync", "--quiet", "runner", str(copy.parents[1])], capsys)
    with pytest.raises(DatabaseProblem, match="is a copy"):
        open_ledger(copy)
    assert main(["migrate"]) == 0
    assert refused(["sync", "--no-api", "--quiet"], capsys)
    # Neither the refused commands nor reading left files behind.
    assert [p.name for p in copy.parent.iterdir() if p.stat().st_size] == ["copy.db"]
    assert main(["runs"]) == 0 and ident(9, 0x9A) not in capsys.readouterr().out
    # The message contains the command to adopt the copy, quoted for a shell.
    with pytest.raises(DatabaseProblem) as caught:
        open_store(copy)
    command = shlex.split(str(caught.value).partition("python -m console ")[2])
    assert command == ["migrate", "--db", str(copy), "--adopt"]
    assert main(command) == 0
    assert "no longer a copy" in capsys.readouterr().out
    assert main(["sync", "--no-api", "--quiet"]) == 0
    assert main(["runs"]) == 0 and ident(9, 0x9A) in capsys.readouterr().out
    kept = record_health.last_maintenance(copy)
    assert (kept.copied_at, freshness.freshness(copy).copied_at) == (None, None)
    assert rows(copy, "SELECT detail_json FROM upkeep WHERE kind = 'adopt'")[0]["detail_json"].count(str(NOW)) == 1
    assert main(command) == 0
    assert "it was not a copy" in capsys.readouterr().err
    assert before != copy.read_bytes()


def test_a_refused_sync_changes_no_byte_of_a_copy_even_of_an_older_version(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = copy.with_name("older.db")
    old = Database(copy.with_name("source.db"))
    migrations.apply(old, stop_before=known_names()[-1])
    old.conn.execute(f"PRAGMA user_version={len(known_names()) - 1}")
    old.conn.commit()
    old.close()
    back_up(copy.with_name("source.db"), older, NOW)
    for file in (copy, older):
        before = file.read_bytes()
        assert refused(["sync", "--no-api", "--quiet", "--db", str(file)], capsys)
        assert file.read_bytes() == before
    # A copy of a copy has the time and the source of the first copy.
    back_up(copy, copy.with_name("second.db"), NOW + 5000)
    kept = record_health.last_maintenance(copy.with_name("second.db"))
    assert (kept.copied_at, kept.copy) == (NOW, {"file": str(copy.parents[1] / "console.db")})


def test_the_pages_of_a_copy_are_marked_and_offer_no_sync(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in declared_pages():
        query = {"id": {"instance": ident(3, 0xB0), "run": RUN}.get(page, FLEET), "a": FLEET, "b": OPEN}
        app = opened(monkeypatch, copy, page, **query)
        shown = words(app)
        assert "python -m console sync" not in shown, f"{page}: {shown}"
        # The page with the actions of the console does not show the age of the record.
        assert page == "actions" or "Copy made 2026-11-24 10:00 UTC" in shown, f"{page}: {shown[:900]}"
        assert not [button for button in app.button if button.label == "Sync now"]
        if page == "record":
            assert str(copy.parents[1] / "console.db") in shown
            assert "migrate --db" in shown and "--adopt" in shown
    # The pages of the original database offer it.
    app = opened(monkeypatch, copy.parents[1] / "console.db", "overview")
    assert [button for button in app.button if button.label == "Sync now"]
    assert "Copy made" not in words(app)


def test_the_pages_of_a_copy_offer_no_actions(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts must be recorded, and nothing is written to a copy."""
    monkeypatch.setattr("console.web.sign_in.acting", lambda: Acting(enabled=True))
    monkeypatch.setattr(
        "console.web.sign_in.visitor", lambda: Identity("https://id.example", "o-1", "op", "operator", "")
    )

    def offered(database: Path) -> set[str]:
        app = opened(monkeypatch, database, "rollout", id=OPEN)
        return {button.label for button in app.button} & {"Pause", "Resume", "Cancel", "Retry"}

    assert offered(copy.parents[1] / "console.db") == {"Pause", "Resume", "Cancel", "Retry"}
    assert offered(copy) == set()
