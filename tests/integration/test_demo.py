# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo` as a visitor sees it: the console shows the rollout of the fleet while it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from console.record.read.freshness import STOPPED, follower
from tests.conftest import CHECKOUT
from tests.console.support.facts import rows

DEMO = (
    "import pathlib, sys; from tests.commands import demo;"
    " demo.RECORD = pathlib.Path(sys.argv[1]); demo.BEFORE_IT_BEGINS = 1.0; sys.exit(demo.main())"
)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


# The newest time in the data of the API.
NEWEST = """
SELECT max(at) AS at FROM (SELECT max(created_at) AS at FROM rollouts
  UNION ALL SELECT max(coalesce(completed_at, started_at, created_at)) FROM rollout_targets
  UNION ALL SELECT max(event_ts) FROM audit_events UNION ALL SELECT max(checked_at) FROM health_checks)
"""


def test_the_console_is_up_before_the_rollout_starts_and_shows_it_live(tmp_path: Path) -> None:
    record, before = tmp_path / "demo", time.time()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLEETOPS_", "ANSIBLE_", "SIM_", "CONSOLE"))}
    # The last instances never finish: the run goes on until the demo is stopped.
    faults = {"deploy_s": [0.2, 0.5], "outcomes": {f"agent-0{number}": "stuck" for number in range(13, 25)}}
    output, database = tmp_path / "output.txt", record / "console.db"
    with output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", DEMO, str(record)],
            cwd=CHECKOUT, env={**kept, "HOME": str(tmp_path), "SIM_FAULTS": json.dumps(faults)},
            stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until(lambda: "The redeploy begins in" in output.read_text())
        address = re.findall(r"console is at (http\S+)", output.read_text())[0]
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=60) as answer:
            assert answer.status == 200
        assert "PLAY [" not in output.read_text()
        (known,) = rows(database, "SELECT count(*) AS n FROM rollouts")
        seen = "SELECT status, (SELECT count(*) FROM rollouts WHERE is_open = 0) > ? AS rolled FROM runs"
        until(lambda: rows(database, seen, known["n"]) == [{"status": "running", "rolled": 1}])
        (newest,) = rows(database, NEWEST)
        assert before < newest["at"] <= time.time()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 130
    finally:
        process.kill()
    assert "Traceback" not in output.read_text()
    found = follower(database, time.time())
    assert found is not None
    assert found.state == STOPPED
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/_stcore/health", timeout=10)
