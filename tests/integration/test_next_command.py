# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that a report suggests to continue a run: added to the command of that run, it finishes the run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import PlaybookRun
from tests.integration.rolling import PLAYBOOK, QUICK, batches, hosts, plan_hash, report_of, touched, with_newest
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
FAILS_ONCE = {"outcomes": {"agent-003": ["failed"]}}


def suggested(run: PlaybookRun) -> list[str]:
    """The options that the report says to run the playbook again with."""
    [found] = re.findall(r'Next: [^"]* the playbook again with ([^"]*?)\.(?: [A-Z][^"]*)?"', run.stdout)
    return shlex.split(found)


def started(run: Run, sim: Simulator, *more: str, **variables: Any) -> PlaybookRun:
    """The playbook with these variables, and ``more`` at the end of the command."""
    return run(sim, PLAYBOOK, "-e", json.dumps({**QUICK, **variables}), *more)


def test_the_suggested_command_continues_a_run_whose_canary_host_is_updated(run_playbook: Run) -> None:
    asked = {"fleetops_canary_hosts": "agent-002*"}
    with running_simulator(instances=5, speed=40.0, faults=FAILS_ONCE) as sim:
        stopped = started(run_playbook, sim, **asked)
        assert (stopped.rc, report_of(stopped)["failed"]) == (2, hosts(3)), stopped.output
        assert "agent-002" in touched(sim) and hosts(3) not in batches(stopped)

        continued = started(run_playbook, sim, *suggested(stopped), **asked)
        assert continued.rc == 0, continued.output
        assert "None of the canary hosts is in this run, so the first batch is the canary." in continued.stdout
        assert hosts(3) in batches(continued)
        assert report_of(continued)["failed"] == []
        assert with_newest(sim) == hosts(1, 2, 3, 4, 5)
        assert touched(sim).count("agent-002") == 1


def test_the_suggested_command_keeps_a_canary_host_that_is_not_updated(run_playbook: Run) -> None:
    asked = {"fleetops_canary_hosts": "agent-003*"}
    with running_simulator(instances=4, speed=40.0, faults=FAILS_ONCE) as sim:
        stopped = started(run_playbook, sim, **asked)
        assert (stopped.rc, touched(sim)) == (2, hosts(3)), stopped.output
        continued = started(run_playbook, sim, *suggested(stopped), **asked)
        assert continued.rc == 0, continued.output
        assert batches(continued).count(hosts(3)) == 2
        assert with_newest(sim) == hosts(1, 2, 3, 4)


def test_the_report_of_a_run_with_an_approved_plan_says_that_the_rest_needs_a_plan_of_its_own(
    run_playbook: Run,
) -> None:
    with running_simulator(instances=4, speed=40.0, faults=FAILS_ONCE) as sim:
        approved = plan_hash(started(run_playbook, sim, "--check"))
        stopped = started(run_playbook, sim, fleetops_plan_hash=approved)
        assert stopped.rc == 2, stopped.output
        assert "It needs the hash of a new plan: approve the one that --check shows" in stopped.stdout
        options = suggested(stopped)

        refused = started(run_playbook, sim, *options, fleetops_plan_hash=approved)
        assert refused.rc == 2, refused.output
        again = plan_hash(started(run_playbook, sim, *options, "--check"))
        continued = started(run_playbook, sim, *options, fleetops_plan_hash=again)
        assert continued.rc == 0, continued.output
        assert with_newest(sim) == hosts(1, 2, 3, 4)


def test_a_redeploy_with_an_unknown_outcome_is_sent_again_with_the_variable_that_its_message_names(
    run_playbook: Run,
) -> None:
    lost = [{"operation": "redeploy_runtime", "reset_before": True, "times": 1}]
    with running_simulator(instances=1, speed=40.0, faults={"plans": lost}) as sim:
        stopped = started(run_playbook, sim)
        assert (stopped.rc, report_of(stopped)["uncertain"]) == (2, hosts(1)), stopped.output
        [variable] = set(re.findall(r"\((fleetops_\w+) in the collection's playbooks\) to send it", stopped.stdout))

        again = started(run_playbook, sim, *suggested(stopped), "-e", f"{variable}=true")
        assert again.rc == 0, again.output
        assert with_newest(sim) == hosts(1)
