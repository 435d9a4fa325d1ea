# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data and links of the version of November 2026 still show the same: a database, run logs, imported jobs, and links.

data/stored was written by commit c13254d. It contains a database of run logs, API reads and AWX jobs, the run logs of
that database and of a rolling redeploy, and the lists that the commands printed for them.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from console.__main__ import main
from tests.console.support.page import opened, words

STORED = Path(__file__).parents[1] / "data" / "stored"
LISTED: dict[str, list[dict[str, Any]]] = json.loads((STORED / "lists.json").read_text())
FLEET, OPEN = "6513270e-0000-4000-8000-000000000001", "00000fe2-0000-4000-8000-000000000002"
RUN, AWX_JOB = "0000009a-0000-4000-8000-000000000001", LISTED["runs"][1]["run_id"]
INSTANCE = "000000b0-0000-4000-8000-000000000003"

# Links from tickets and chats: the page, its parameters, texts on it, and a text that its filters exclude.
LINKS: list[tuple[str, dict[str, str], list[str], str]] = [
    ("rollout", {"id": FLEET, "targets_status": "failed", "rows": "all"}, ["Targets 24", "failed"], "None"),
    ("rollout", {"id": OPEN, "targets_q": "agent-00003"}, ["agent-00003", "Open "], "agent-00005"),
    ("rollouts", {"rollouts_status": "in_progress", "rollouts_scope": "fleet"}, ["11"], "instance"),
    ("compare", {"a": FLEET, "b": OPEN}, ["agent-00003"], "Traceback"),
    ("runs", {"runs_status": "failed", "runs_q": "redeploy"}, ["rolling_redeploy.yml", "redeploy.yml"], "reboot.yml"),
    (
        "run",
        {"id": RUN, "results_status": "failed", "batch": "6"},
        ["agent-00011", "Redeploy the runtime"],
        "Traceback",
    ),
    ("run", {"id": AWX_JOB}, ["circuit breaker open", "agent-03"], "agent-00011"),
    ("instances", {"instances_q": "agent-00003", "instances_sort": "host"}, ["agent-00003"], "agent-00005"),
    ("instance", {"id": INSTANCE, "span": "30"}, ["agent-00003"], "agent-00005"),
    ("audit", {"span": "30", "audit_outcome": "denied", "per": "day"}, ["denied"], "Traceback"),
    ("policy", {}, ["Policy"], "Traceback"),
    ("record", {}, ["Record"], "Traceback"),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "console.db"
    path.write_bytes(gzip.decompress((STORED / "console.db.gz").read_bytes()))
    assert main(["migrate", "--db", str(path)]) == 0
    return path


def listed(command: str, path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """The list that the command prints, without the columns that the stored lists do not have."""
    capsys.readouterr()
    assert main([command, "--format", "json", "--db", str(path)]) == 0
    columns = LISTED[command][0].keys()
    return [{k: v for k, v in row.items() if k in columns} for row in json.loads(capsys.readouterr().out)]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", ["runs", "rollouts", "failures"])
def test_an_older_database_gives_the_same_lists(command: str, stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(command, stored, capsys) == LISTED[command]


@pytest.mark.usefixtures("environment")
def test_older_run_logs_give_the_same_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o700)
    for file in (STORED / "run_logs").glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    monkeypatch.setenv("FLEETOPS_RUN_LOG_DIR", str(folder))
    database = tmp_path / "console.db"
    assert main(["sync", "--no-api", "--db", str(database)]) == 0
    # The number of hosts of a lost run did not include hosts without a result.
    runs = [row | {"hosts": 1} if row["status"] == "lost" else row for row in LISTED["runs of the run logs"]]
    assert listed("runs", database, capsys) == runs
    assert listed("failures", database, capsys) == LISTED["failures of the run logs"]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("page", "query", "expected", "left_out"), LINKS)
def test_an_older_link_shows_the_same(
    page: str, query: dict[str, str], expected: list[str], left_out: str, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = words(opened(monkeypatch, stored, page, **query))
    assert [word for word in expected if word not in shown] == [], shown[:3000]
    assert left_out not in shown, shown[:3000]
