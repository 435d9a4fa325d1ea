# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command that is refused because an older console is still running does not migrate its database."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from sqlite_utils import Database

from console.__main__ import main
from console.record.file_locks import FOLLOWER, only_one
from console.record.schema.migrations import known_names, migrations
from tests.console.support.following import Following


@pytest.fixture
def older(tmp_path: Path) -> Path:
    path = tmp_path / "console.db"
    database = Database(path)
    migrations.apply(database, stop_before=known_names()[-1])
    database.close()
    path.chmod(0o600)
    return path


@pytest.mark.usefixtures("environment")
def test_a_follower_is_refused_while_an_older_one_runs_and_does_not_migrate_the_database(
    older: Path, tmp_path: Path
) -> None:
    before = older.read_bytes()
    with only_one(older, FOLLOWER):
        second = Following(older, "--no-api", "--spool", str(tmp_path))
        assert second.process.wait(120) == 2
    second._reader.join(60)
    assert [f"Another process already follows {older}" in line for line in second.said] == [True]
    assert older.read_bytes() == before


@pytest.mark.usefixtures("environment")
def test_a_server_is_refused_the_port_of_an_older_one_and_does_not_migrate_the_database(
    older: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "execve", lambda *_given: pytest.fail("the console was started"))
    before = older.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--db", str(older)]) == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err
    assert older.read_bytes() == before
