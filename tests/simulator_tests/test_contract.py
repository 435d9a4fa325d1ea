# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator conforms to the contract: schemathesis sends valid and invalid data to every operation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.simulator.running import running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRACT = CHECKOUT / "docs" / "contract" / "openapi.yaml"
NEED_A_STATE = {"cancel_rollout", "pause_rollout", "resume_rollout", "retry_rollout_target"}
# Statuses that the contract does not document but allows. Valid data: 404 for an unknown id, 409 for a wrong state.
# Invalid data: 422, or 400 if the body is not text, or 401 if the key is invalid.
CHECKS = """
[checks]
positive_data_acceptance.expected-statuses = ["200", "404", "409"]
negative_data_rejection.expected-statuses = ["400", "401", "422"]
"""


def test_every_operation_conforms_to_the_contract(tmp_path: Path) -> None:
    # The API reference documents only 200 and 422. Refusals for a role, an unknown id or a state are assumptions
    # (behaviour.md 2.3), so the statuses are checked below, in the journal, instead of by schemathesis.
    # Restarts take no time, because an agent that is down answers 503, which is not part of the contract.
    at_once = {"reboot_s": 0, "power_cycle_s": 0, "warmup_s": 0, "deploy_s": [0, 0]}
    with running_simulator(instances=6, speed=1.0, knobs=at_once) as sim:
        rollouts = sim.call("GET", "/v1/instances/fleet/runtime/rollouts")[1]
        details = [sim.call("GET", f"/v1/instances/fleet/runtime/rollouts/{row['id']}")[1] for row in rollouts]
        # Failed and uncertain targets first, so that there are some that E8 can retry.
        targets = sorted(
            (target for detail in details for target in detail["targets"]),
            key=lambda target: target["status"] not in ("failed", "uncertain"),
        )[:6]
        known = {
            "instance_id": sim.instance_ids,
            "rollout_id": [row["id"] for row in rollouts],
            "target_id": [row["id"] for row in targets],
        }
        sim.clear_journal()
        (tmp_path / "schemathesis.toml").write_text(CHECKS)
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "run", str(CONTRACT), "--url", sim.url),
                *("--header", f"X-Api-Key: {sim.admin_key}", "--exclude-checks", "status_code_conformance"),
                *("--mode", "all", "--max-examples", "15", "--seed", "20261124", "--continue-on-failure"),
                *("--phases", "examples,coverage,fuzzing", "--no-color"),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.simulator_tests.real_ids",
                "PYTHONPATH": str(CHECKOUT),
                "REAL_IDS": json.dumps(known),
                "ROLLOUT_OF": json.dumps({row["id"]: row["rollout_id"] for row in targets}),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        journal = sim.journal()
    output = (done.stdout + done.stderr).replace(sim.admin_key, "***")
    assert done.returncode == 0, output[-6000:]
    tested = re.search(r"(\d+) selected / (\d+) total|Operations:\s+(\d+)", output)
    assert tested, output[-3000:]

    answered: dict[str, set[int]] = {}
    for row in journal:
        answered.setdefault(str(row["operation_id"]), set()).add(row["status"])
    operations = set(re.findall(r"operationId: (\w+)", CONTRACT.read_text()))
    assert len(operations) == 26
    assert operations <= set(answered), f"never called: {operations - set(answered)}"
    for operation in operations:
        # E5 to E8 succeed only in certain states of a rollout, which the tests of the engine cover.
        reached = {200, 409} if operation in NEED_A_STATE else {200}
        assert reached & answered[operation], f"{operation} never succeeded: {answered[operation]}"
        # FastAPI answers 400 to a body that is not text.
        assert answered[operation] <= {200, 400, 401, 404, 409, 422}, f"{operation} answered {answered[operation]}"
