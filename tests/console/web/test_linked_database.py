# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database that is named by a symbolic link: SQLite keeps its write-ahead log next to the file itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.record.private_files import log_of
from console.record.rows import Cursor, RunRows
from console.record.write.store import open_store
from tests.console.support.page import opened, words


def put_run(database: Path, playbook: str) -> None:
    with open_store(database) as store:
        run = {"run_id": playbook, "source": "callback", "status": "successful", "playbook": playbook}
        store.put_run(RunRows(run), Cursor("spool", playbook, position=1), after=None)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    put_run(tmp_path / "data" / "console.db", "first.yml")
    path = tmp_path / "link.db"
    path.symlink_to(tmp_path / "data" / "console.db")
    return path


@pytest.mark.usefixtures("environment")
def test_a_page_shows_what_another_program_stores_while_it_keeps_the_database_open(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(link.resolve()):
        shown = words(opened(monkeypatch, link, "runs"))
        assert ("first.yml" in shown, "second.yml" in shown) == (True, False)
        put_run(link.resolve(), "second.yml")
        assert "second.yml" in words(opened(monkeypatch, link, "runs"))


def test_a_log_is_found_next_to_the_file_itself(link: Path) -> None:
    with open_store(link):
        assert log_of(link) == link.resolve().with_name("console.db-wal")
        assert log_of(link).exists()
