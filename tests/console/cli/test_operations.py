# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m console fleet` and `operations`: their output for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from pathlib import Path

import pytest

from console.__main__ import main
from console.record.write.store import open_store
from tests.console.support.seeded import HOSTILE, RUN, host_name, seed_small
from tests.console.support.seeded_instances import seed_details

NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operations")
    seed_small(folder / "console.db", folder / "runs", NOW)
    seed_details(folder / "console.db", NOW)
    return folder / "console.db"


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(list(arguments)) == 0
    found = capsys.readouterr()
    return found.out, found.err


def test_operations_are_listed_with_their_outcome_and_check_mode(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = output_of(capsys, "operations", "--db", str(database), "--format", "json")
    rows = {row["key"]: row for row in json.loads(out)}
    run = rows[RUN]
    assert (run["title"], run["check"], run["verdict"], run["updated"], run["failed"]) == (
        "rolling_redeploy", False, "stopped", 11, 1)  # fmt: skip
    # The twelve rollouts that the run started belong to it.
    assert len(rows) == 4
    assert err == ""
    out, err = output_of(capsys, "operations", "--db", str(database), "--format", "csv", "--limit", "1")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 1
    assert err == "console: note: 1 of 4 shown; use --limit to show more.\n"
    out, _err = output_of(capsys, "operations", "--db", str(database), "--verdict", "stopped", "--text", host_name(11))
    head, line = out.splitlines()
    assert re.split("  +", head) == ["started (UTC)", "operation", "verdict", "outcome", "by", "took", "id", "why"]
    # The table is for people: a time without zone, the version, numbers without zeros, a duration and a short id.
    started, title, verdict, outcome, by, took, short_id, why = re.split("  +", line, maxsplit=7)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", started)
    assert (title, verdict, outcome) == ("rolling_redeploy", "stopped", "11 updated, 1 failed")
    assert (by, short_id) == ("ops", RUN[:8]) and re.fullmatch(r"\d+ min \d\d s|\d+(\.\d)? s", took)
    assert HOSTILE in why
    # The list of runs has the same verdict.
    (listed,) = [r for r in json.loads(output_of(capsys, "runs", "--db", str(database), "--format", "json")[0])
                 if r["run_id"] == RUN]  # fmt: skip
    assert (listed["status"], listed["verdict"], listed["why"]) == ("failed", run["verdict"], run["why"])
    # What the pages show is listed too.
    assert {"change", "controller"} <= {*listed}
    rollouts = json.loads(output_of(capsys, "rollouts", "--db", str(database), "--format", "json")[0])
    assert {(r["host"] is not None, r["run_id"]) for r in rollouts if r["run_id"] == RUN} == {(True, RUN)}
    failures = json.loads(output_of(capsys, "failures", "--db", str(database), "--format", "json")[0])
    assert all(1 <= failure["operations"] <= failure["failures"] for failure in failures)
    with pytest.raises(SystemExit):
        main(["operations", "--verdict", "fine"])
    assert "invalid choice: 'fine'" in capsys.readouterr().err


def test_the_state_of_the_fleet_is_printed_as_text_and_as_json(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _err = output_of(capsys, "fleet", "--db", str(database))
    lines = out.splitlines()
    assert lines[0] == "http://127.0.0.1:1: 36 instances"
    lines_by_label = {line[2:12].strip(): line[13:] for line in lines[1:]}
    assert lines_by_label["Health"].startswith("19 healthy, 1 degraded, 16 not read; the oldest check was ")
    assert lines_by_label["Updates"] == "runtime on 4; 16 not read."
    assert lines_by_label["In flight"] == "3 of at most 2."
    assert lines_by_label["Window"].startswith("The maintenance window (") and " is open" in lines_by_label["Window"]
    assert lines_by_label["Last 24 h"] == "4 operations: 1 running, 1 complete with failures, 1 stopped, 1 lost."
    (fleet,) = json.loads(output_of(capsys, "fleet", "--db", str(database), "--format", "json")[0])
    assert (fleet["instances"], fleet["health"]["healthy"], fleet["operations"]["lost"]) == (36, 19, 1)
    assert fleet["api_at"].endswith("+00:00")


@pytest.mark.parametrize("retired", [False, True])
def test_without_a_tenant_that_is_read_the_message_says_how_to_read_one(
    retired: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_store(tmp_path / "console.db") as store:
        if retired:
            store.put_tenant("https://old.example", 1.0)
    if retired:
        _out, err = output_of(capsys, "fleet", "--db", str(tmp_path / "console.db"))
        assert err.startswith("console: note: the versions were not read. Read them with: ")
        assert main(["retire", "https://old.example", "--db", str(tmp_path / "console.db")]) == 0
        capsys.readouterr()
    out, err = output_of(capsys, "fleet", "--db", str(tmp_path / "console.db"))
    assert out == ""
    assert err.startswith("console: note: the API was never read, or is retired. Read it with: ")
