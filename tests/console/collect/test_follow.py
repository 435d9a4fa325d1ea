# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`sync --follow` as a process: what it reads, how it ends, and what the pages report about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.record.read.freshness import DIED, HANGS, RUNNING, STOPPED, follower
from console.record.write.store import open_store
from tests.console.support.facts import rows
from tests.console.support.fake_awx import TOKEN, running_awx
from tests.console.support.following import ROOT, Following, until
from tests.console.support.page import opened, words
from tests.console.support.run_log_lines import NAME, lines
from tests.simulator.running import running_simulator


@contextmanager
def following(database: Path, *arguments: str, **environment: str) -> Iterator[Following]:
    found = Following(database, *arguments, **environment)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.end(signal.SIGKILL)


def state(database: Path, now: float | None = None) -> str:
    found = follower(database, now or time.time())
    return "" if found is None else found.state


@pytest.mark.usefixtures("environment")
def test_a_rollout_is_followed_and_polling_resumes_after_errors_of_the_api(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database, run_logs = tmp_path / "console.db", tmp_path / "runs"
    run_logs.mkdir()
    pace = ("--interval", "1s", "--idle-interval", "60s", "--spool", str(run_logs))
    with running_simulator(instances=6, speed=0) as sim:
        wrong = subprocess.run(
            [sys.executable, "-m", "console", "sync", "--follow", "--db", str(database), "--no-spools"],
            cwd=ROOT, env={**os.environ, **sim.environment(), "FLEETOPS_API_KEY": "not-the-key-4711"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
        assert "the follower has stopped: GET /v1/instances/fleet/updates/policy failed with HTTP 401" in wrong.stderr
        assert sim.call("POST", "/v1/instances/fleet/runtime/rollout")[0] == 200

        def ended() -> int:
            return rows(database, "SELECT count(*) AS n FROM rollout_targets WHERE is_open = 0")[0]["n"] - before

        with following(database, *pace, **sim.environment(), FLEETOPS_RETRIES="0") as process:
            until(lambda: process.has_said("Everything was read once"))
            assert state(database) == RUNNING
            before = 0
            before = ended()
            sim.advance(40)
            until(lambda: ended() >= 2)
            # Rollouts without a change are not read again, and a second follower is refused.
            sim.clear_journal()
            until(lambda: len(sim.journal(operation_id="list_fleet_rollouts")) >= 4)
            assert not {row["operation_id"] for row in sim.journal()} & {"get_rollout", "get_rollout_timeline"}
            second = Following(database, *pace, **sim.environment())
            assert second.process.wait(120) == 2
            second._reader.join(60)
            assert [f"Another process already follows {database}" in line for line in second.said] == [True]

            sim.fault(match=".*", status=503, detail="closed for repair")
            until(lambda: process.has_said("The API was not read: GET /v1/instances/fleet/runtime/rollouts"))
            until(lambda: process.has_said("The next attempt is in 4 s"))
            assert process.has_said("closed for repair")
            # Run logs are still read.
            (run_logs / NAME).write_bytes(b"".join(lines()))
            until(lambda: rows(database, "SELECT status FROM runs") == [{"status": "failed"}])
            assert "The follower on" in (shown := words(opened(monkeypatch, database, "overview")))
            assert "has not been able to read the API since" in shown
            sim.clear_faults()
            sim.advance(3600)
            until(lambda: process.has_said("The API can be read again after"))
            until(lambda: ended() == 6)
            assert process.end() == 0
    assert "Stopped; everything that was read is stored" in process.said[-1]
    assert not any("Traceback" in line for line in process.said)
    assert sim.admin_key not in "".join(process.said)
    assert state(database) == STOPPED
    assert " stopped at " in words(opened(monkeypatch, database, "overview"))


@pytest.mark.usefixtures("environment")
def test_awx_is_followed_and_the_pages_report_a_follower_that_was_killed_or_hangs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database, run_logs = tmp_path / "console.db", tmp_path / "runs"
    run_logs.mkdir()
    arguments = ("--no-api", "--spool", str(run_logs), "--interval", "1s", "--idle-interval", "5s")
    jobs = "SELECT count(*) AS n FROM run_jobs"
    with running_awx() as awx:
        places = {"FLEETOPS_AWX_URL": awx.url, "FLEETOPS_AWX_TOKEN": TOKEN}
        with following(database, *arguments, **places) as process:
            until(lambda: process.has_said("Everything was read once"))
            assert rows(database, jobs) == [{"n": 3}]
            awx.add(2, 7, later_s=3600)
            # AWX has not processed its events yet. The follower does not wait, and asks again later.
            awx.polls[7] = 1
            until(lambda: rows(database, jobs) == [{"n": 4}])
            shown = words(opened(monkeypatch, database, "record"))
            assert "Following · " in shown
            process.process.send_signal(signal.SIGSTOP)
            assert state(database) == RUNNING
            assert state(database, time.time() + 400) == HANGS
            assert process.end(signal.SIGKILL) == -signal.SIGKILL
        assert state(database) == DIED
        assert f"process {process.process.pid}, was killed; its last report was at" in words(
            opened(monkeypatch, database, "record")
        )
        with following(database, *arguments, **places) as process:
            until(lambda: process.has_said("Everything was read once"))
            assert state(database) == RUNNING
            assert process.end(signal.SIGINT) == 0
    assert state(database) == STOPPED
    # After a later sync, the stopped follower is not reported.
    done = subprocess.run(
        [sys.executable, "-m", "console", "sync", "--no-api", "--spool", str(run_logs), "--db", str(database)],
        cwd=ROOT, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert state(database) == ""


def test_a_database_without_a_follower_reports_none(tmp_path: Path) -> None:
    open_store(tmp_path / "console.db").close()
    assert follower(tmp_path / "console.db", time.time()) is None
