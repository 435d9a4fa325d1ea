# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make rulebook`: run the sample rulebook in ansible-rulebook, against a fleet with two unhealthy agents.

Checks that one run of recover heals both and no other instance is changed, that a failed target is retried once, that
the rollout is reported, and that a second ansible-rulebook receives no event again. Otherwise the output of
ansible-rulebook is printed, and the exit code is 1. .ci/rulebook finds Java and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.simulator.running import Simulator, running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = CHECKOUT / ".venv" / "rulebook" / "bin"
INVENTORIES = CHECKOUT / "inventories" / "demo"
SICK = ("agent-002", "agent-004")
# This takes longer than the other four deployments (in virtual seconds), so that the rollout ends with this
# failure and the retry comes after the end.
LATE_FAILURE = {"outcome": "failed", "duration_s": 200}
QUICK = {"fleetops_interval": 1, "fleetops_instance_interval": 2, "fleetops_live": True}


class Unmet(Exception):
    """An expectation was not met."""


def environment(sim: Simulator, scratch: Path) -> dict[str, str]:
    """The environment of a controller for this fleet, with HOME in ``scratch``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_", "SIM_"))}
    return {
        **kept,
        **sim.environment(),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "ANSIBLE_CONFIG": str(INVENTORIES / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv" / "collections"),
        "FLEETOPS_RUN_LOG_DIR": str(scratch / "runs"),
        "FLEETOPS_EDA_WATERMARK": str(scratch / "watermark.json"),
    }


@contextmanager
def rulebook(sim: Simulator, scratch: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ansible-rulebook with the sample rulebook until the block ends. Its output goes to ``output``."""
    variables = scratch / "vars.json"
    variables.write_text(json.dumps(QUICK))
    command = [str(BIN / "ansible-rulebook"), "--rulebook", "fleetops.agents.fleet", "--print-events"]
    command += ["-i", str(INVENTORIES), "--vars", str(variables)]
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=scratch, env=environment(sim, scratch), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(what: str, process: subprocess.Popen[bytes], condition: Callable[[], bool], seconds: float = 120) -> None:
    started = time.monotonic()
    while not condition():
        if process.poll() is not None:
            raise Unmet(f"{what}: ansible-rulebook ended first, with exit code {process.returncode}")
        if time.monotonic() - started > seconds:
            raise Unmet(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    print(f"{time.monotonic() - started:5.1f} s  {what}", flush=True)


def expect(what: str, met: bool) -> None:
    if not met:
        raise Unmet(what)
    print(f"         {what}", flush=True)


def show(sim: Simulator, scratch: Path, first: Path, second: Path) -> None:
    ids = {name: sim.instance(name)["id"] for name in SICK}
    with rulebook(sim, scratch, first) as process:
        wait_for("both agents are reported", process, lambda: first.read_text().count("instance.unhealthy") == 2)
        wait_for("both are healthy again", process, lambda: all(sim.instance(n)["disease"] == "none" for n in SICK))
        wait_for("the run of recover has ended", process, lambda: first.read_text().count("PLAY RECAP") == 1)
        text = first.read_text()
        expect("the playbook ran once", text.count("PLAY [Check before the recovery]") == 1)
        writes = sorted(row["path"] for row in sim.writes())
        wanted = sorted(f"/v1/instances/{i}/actions/power-cycle" for i in ids.values())
        expect("only these two were power-cycled", writes == wanted)

        assert sim.call("POST", "/v1/instances/fleet/runtime/rollout?override_window=true")[0] == 200
        wait_for("the rollout is reported", process, lambda: "ended as partial" in first.read_text())
        wait_for("it is reported again after the retry", process, lambda: "ended as completed" in first.read_text())
        wait_for("the audit is reported", process, lambda: "# Audit of 5 instances" in first.read_text())
        retries = [row for row in sim.writes() if row["path"].endswith("/retry")]
        expect("the failed target was retried once", len(retries) == 1)
        # The last event has been sent, but the last poll may not have ended.
        time.sleep(3)
    with rulebook(sim, scratch, second) as process:
        last = max(row["seq"] for row in sim.journal())
        wait_for(
            "a second ansible-rulebook has polled everything",
            process,
            lambda: len(sim.journal(operation_id="get_deep_health", since=last)) >= 10,
        )
        expect("it received no event", "received event" not in second.read_text())
    expect("no output contains the key", not any(sim.admin_key in log.read_text() for log in (first, second)))


def main() -> int:
    started = time.monotonic()
    diseases = dict.fromkeys(SICK, "process")
    with (
        tempfile.TemporaryDirectory(prefix="fleetops-rulebook-") as folder,
        running_simulator(
            instances=5, speed=20.0, faults={"disease": diseases, "outcomes": {"agent-001": [LATE_FAILURE]}}
        ) as sim,
    ):
        first, second = Path(folder) / "first.log", Path(folder) / "second.log"
        try:
            show(sim, Path(folder), first, second)
        except Unmet as problem:
            for log in (first, second):
                print(log.read_text() if log.exists() else "", file=sys.stderr)
            print(f"FAILED: {problem}", file=sys.stderr)
            return 1
    print(f"The sample rulebook works in ansible-rulebook ({time.monotonic() - started:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
