# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/rolling_redeploy.yml and apply_updates.yml with fleetops_pace=continuous, by the real ansible-playbook."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.conftest import BIN, CHECKOUT, PlaybookRun
from tests.integration.rolling import PLAYBOOK, batches, hosts, redeploys, report_of, touched, with_newest
from tests.integration.second_task import when
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]

STREAM = {"fleetops_pace": "continuous", "fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 2}


def test_the_plan_predicts_the_stream_and_the_run_follows_a_limit_that_is_lowered(
    run_playbook: Run,
) -> None:
    knobs = {"max_parallel_mode": "none", "deploy_s": [30, 60]}
    with running_simulator(instances=14, speed=20.0, knobs=knobs) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 4})
        planned = run_playbook(sim, PLAYBOOK, "--check", e=STREAM)
        assert planned.rc == 0, planned.output
        assert sim.writes() == []
        assert "14 instances: 14 to redeploy in a canary batch and one stream, at most 4 at once" in planned.stdout
        assert "Stream: agent-002" in planned.stdout and "Expected duration: " in planned.stdout
        assert report_of(planned)["updated"] == hosts(*range(1, 15))

        lowered: dict[str, float] = {}

        def lower() -> None:
            sim.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 2})
            lowered["at"] = sim.state()["now"]

        lowering = when(lambda: sum(redeploys(sim).values()) >= 6, lower)
        run = run_playbook(sim, PLAYBOOK, e={**STREAM, "fleetops_plan_hash": report_of(planned)["plan_hash"]})
        lowering.join()
        assert run.rc == 0, run.output
        assert [len(batch) for batch in batches(run)][-2:] == [1, 13]
        assert set(redeploys(sim).values()) == {1}
        found = report_of(run)
        assert found["updated"] == with_newest(sim) == hosts(*range(1, 15))
        assert (found["verdict"], found["disagreements"]) == ("pass", {})
        flights = sim.in_flight()
        assert flights["maximum"] == 4
        # An admission may use a policy that is a fifth of a second old: four seconds of this clock.
        late = [row for row in flights["history"] if row["event"] == "start" and row["at"] > lowered["at"] + 8]
        assert late and max(row["in_progress"] for row in late) <= 2
        # A redeploy began before the health proof of the previous one had ended: no task waited for a batch.
        starts = [row["at"] for row in flights["history"] if row["event"] == "start"][1:5]
        assert max(starts) - min(starts) < 60
        # In the order of the plan, although all wait at once. Which tasks wait first, and take the four seats after the
        # canary, depends on the machine. Tasks that are admitted together may swap places.
        sent = [int(name[6:9]) for name in redeploys(sim)]
        waited = sent[5:]
        assert max(abs(sorted(waited).index(number) - place) for place, number in enumerate(waited)) <= 2, sent


def test_a_spent_failure_budget_ends_the_stream_and_redeploys_in_flight_are_followed_to_their_end(
    run_playbook: Run,
) -> None:
    # Redeploys that start with agent-003 are still in flight when it fails, even on a busy machine.
    outcomes = {
        "agent-001": [{"outcome": "succeeded", "duration_s": 40}],
        "agent-003": [{"outcome": "failed", "duration_s": 160}],
    }
    knobs = {"deploy_s": [320, 320]}
    with running_simulator(instances=16, speed=20.0, knobs=knobs, faults={"outcomes": outcomes}) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 3})
        run = run_playbook(sim, PLAYBOOK, e=STREAM)
        assert run.rc == 2, run.output
        found = report_of(run)
        assert (found["verdict"], found["failed"]) == ("fail", hosts(3))
        assert found["reasons"] == ["1 instance failed (agent-003.nyc3.fleet.example); at most 0 may fail."]
        assert "bundle checksum mismatch on the agent" in run.stdout
        history = sim.in_flight()["history"]
        ended = next(row["at"] for row in history if row["event"] != "start" and "003" in row["instance"])
        sent = [row for row in sim.writes() if row["path"].endswith("/redeploy")]
        assert [row["instance"] for row in sent if row["at"] > ended + 12] == []
        assert found["updated"] == with_newest(sim) == [name for name in touched(sim) if name != "agent-003"]
        followed = {row["instance"] for row in history if row["event"] != "start" and row["at"] > ended}
        assert followed and len(found["not_touched"]) >= 5
        assert sim.in_flight()["now"] == 0


def test_a_stream_of_updates_stops_at_the_failure_budget_and_the_same_command_continues_with_the_rest(
    run_playbook: Run,
) -> None:
    faults = {"outcomes": {"agent-003": [{"outcome": "failed", "duration_s": 20}]}}
    with running_simulator(instances=9, speed=20.0, knobs={"deploy_s": [40, 60]}, faults=faults) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 2})
        updates = "playbooks/apply_updates.yml"
        stopped = run_playbook(sim, updates, e=STREAM)
        assert stopped.rc == 2, stopped.output
        found = report_of(stopped)
        assert (found["verdict"], found["failed"]) == ("fail", hosts(3))
        assert found["updated"] and len(found["not_touched"]) >= 3
        assert sim.in_flight()["now"] == 0
        rest = run_playbook(sim, updates, e=STREAM)
        assert rest.rc == 0, rest.output
        assert sorted(found["updated"] + report_of(rest)["updated"]) == with_newest(sim) == hosts(*range(1, 10))
        applied = [row["instance"].partition(".")[0] for row in sim.journal(operation_id="apply_all_updates")]
        assert sorted(applied) == sorted([*(f"agent-{number:03}" for number in range(1, 10)), "agent-003"])
        flights = sim.in_flight()
        assert (flights["maximum"], flights["violations"]) == (2, [])
        again = run_playbook(sim, updates, e=STREAM)
        assert again.rc == 0 and again.total("changed") == 0, again.output


def test_a_held_stream_resumes_in_the_order_of_the_plan_and_a_freeze_defers_the_rest(
    run_playbook: Run, tmp_path: Path
) -> None:
    file, held = tmp_path / "hold", {}

    def person(sim: Simulator) -> None:
        """Hold the run for a while, and then let a freeze begin."""
        file.write_text("INC-9, ask Ann")
        time.sleep(2)
        held["from"] = sim.state()["now"]
        time.sleep(10)
        held["to"] = sim.state()["now"]
        file.unlink()
        when(lambda: sum(redeploys(sim).values()) >= 8, lambda: sim.advance(7 * 86400)).join()

    with running_simulator(instances=14, speed=20.0, knobs={"deploy_s": [60, 80]}) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 2})
        later = datetime.fromtimestamp(sim.state()["now"] + 2 * 86400, UTC).date().isoformat()
        options = {
            **STREAM,
            "fleetops_canary_hosts": "agent-007.*",
            "fleetops_order": "random(3)",
            "fleetops_hold": str(file),
            "fleetops_hold_interval": 0.5,
            # The simulator's clock is moved forward by a week below.
            "fleetops_stall_timeout": 10 * 86400,
            "fleetops_freezes": [{"from": later, "to": "2200-01-01", "reason": "audit"}],
        }
        holding = when(lambda: sum(redeploys(sim).values()) >= 4, lambda: person(sim))
        run = run_playbook(sim, PLAYBOOK, e=options)
        holding.join()
        assert run.rc == 0, run.output
        assert next(iter(redeploys(sim))).startswith("agent-007.")
        sent = [row for row in sim.writes() if row["path"].endswith("/redeploy")]
        assert [row for row in sent if held["from"] < row["at"] < held["to"]] == []
        assert [row for row in sent if row["at"] > held["to"]]
        found = report_of(run)
        assert (found["verdict"], found["failed"]) == ("deferred", [])
        assert "Changes are frozen until 2200-01-02 00:00 UTC (audit)." in found["reasons"][0]
        assert found["updated"] == touched(sim) == with_newest(sim) and "agent-007" in found["updated"]
        assert len(found["updated"]) + len(found["deferred"]) == 14 and len(found["deferred"]) >= 4


def test_a_window_that_closes_during_the_stream_defers_the_rest(run_playbook: Run) -> None:
    with running_simulator(instances=9, speed=20.0, knobs={"deploy_s": [40, 60]}) as sim:

        def close() -> None:
            hour = int(sim.state()["now"] // 3600) % 24
            window = {"maintenance_window_start_hour_utc": (hour + 6) % 24}
            sim.knobs(policy={**window, "maintenance_window_end_hour_utc": (hour + 8) % 24})

        closing = when(lambda: sum(redeploys(sim).values()) >= 3, close)
        run = run_playbook(sim, PLAYBOOK, e={**STREAM, "fleetops_canary": 0})
        closing.join()
        assert run.rc == 0, run.output
        found = report_of(run)
        assert found["verdict"] == "deferred" and "is closed; it opens next at" in found["reasons"][0]
        assert found["updated"] == touched(sim) == with_newest(sim)
        assert len(found["updated"]) + len(found["deferred"]) == 9 and found["deferred"]


def test_after_kill_9_two_controllers_at_once_deploy_each_instance_once(
    run_playbook: Run, playbook_environment: Callable[[Simulator], dict[str, str]]
) -> None:
    knobs = {"deploy_s": [20, 40], "max_parallel_mode": "none"}
    with running_simulator(instances=12, speed=20.0, knobs=knobs) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 3})

        def started() -> subprocess.Popen[bytes]:
            given = " ".join(f"{name}={value}" for name, value in STREAM.items())
            return subprocess.Popen(
                [str(BIN / "ansible-playbook"), "-i", "inventories/demo/demo.fleet.yml", PLAYBOOK, "-e", given],
                cwd=CHECKOUT,
                env=playbook_environment(sim),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

        for sent in (1, 5):
            victim = started()
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and sum(redeploys(sim).values()) < sent:
                time.sleep(0.05)
            os.killpg(victim.pid, signal.SIGKILL)
            victim.wait()
        other = started()
        run = run_playbook(sim, PLAYBOOK, e=STREAM)
        assert other.wait(300) == 0
        assert run.rc == 0, run.output
        assert set(redeploys(sim).values()) == {1} and len(redeploys(sim)) == 12
        assert (sim.in_flight()["violations"], sim.in_flight()["maximum"]) == ([], 3)
        assert with_newest(sim) == hosts(*range(1, 13))


# Other refusals are tested in tests/unit/rules/test_pace.py.
REFUSED = [
    # First, because after the first refusal Ansible runs no more tasks for the other hosts.
    (
        {},
        "The redeploys in flight, and the health checks after each of them, need 5 workers, but Ansible runs only 3 "
        "at once. Add --forks 5 (or more).",
    ),
    ({"fleetops_soak": 60}, "fleetops_soak cannot be used with fleetops_pace=continuous, which has no batches"),
    (
        {"fleetops_metric_checks": [{"query": "up", "must_be": "== 1"}]},
        "fleetops_metric_checks cannot be used with fleetops_pace=continuous",
    ),
    ({"fleetops_quarantine": 2}, "fleetops_quarantine cannot be used with fleetops_pace=continuous"),
    (
        {"fleetops_waves": [{"hosts": "all", "soak": 60}]},
        "waves (all) cannot be used with pace=continuous",
    ),
    ({"fleetops_asked": {"fleetops_repair": True}}, "fleetops_repair cannot be used with fleetops_pace=continuous"),
    ({"fleetops_batch_max": 2, "fleetops_health_interval": -1}, "fleetops_health_interval is -1.0: it must be above 0"),
]


def test_options_that_do_not_fit_the_pace_are_refused_before_anything_is_changed(
    run_playbook: Run, tmp_path: Path
) -> None:
    """Each in a play of its own, as in the first play of the playbook."""
    plays = [
        {
            "name": message,
            "hosts": "fleetops_instances",
            "gather_facts": False,
            "connection": "local",
            "order": "sorted",
            "vars": {"fleetops_pace": "continuous", "fleetops_asked": {}, **given},
            "tasks": [
                {
                    "name": "Plan",
                    "ansible.builtin.import_role": {
                        "name": "fleetops.agents.fleet_preflight",
                        "rolespec_validate": False,
                    },
                },
                {
                    "name": "Look at the refusal",
                    "ansible.builtin.assert": {
                        "that": ["said in hostvars.localhost.fleetops_run.reasons | join(' ')", "verdict != 'pass'"],
                        "fail_msg": "{{ hostvars.localhost.fleetops_run.reasons | join(' ') }}",
                    },
                    "vars": {"said": message, "verdict": "{{ hostvars.localhost.fleetops_run.verdict }}"},
                    "run_once": True,
                },
            ],
        }
        for given, message in REFUSED
    ]
    file = tmp_path / "refused.yml"
    file.write_text(yaml.safe_dump(plays))
    with running_simulator(instances=8, speed=20.0) as sim:
        sim.knobs(policy={"max_parallel_rollouts": 3})
        run = run_playbook(sim, file, "--forks", "3")
        assert run.stdout.count("All assertions passed") == len(REFUSED), run.output
        assert sim.writes() == []
