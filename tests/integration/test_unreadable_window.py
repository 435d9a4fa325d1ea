# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy whose maintenance window cannot be read: nothing is started, and every reader of the policy says so.

reports/2026-11 A6
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.collect.api.session import ApiOptions
from console.collect.sync import sync_once
from console.record.read import policy as policy_queries
from console.settings.environment import ApiConnection, Settings
from tests.conftest import PlaybookRun
from tests.integration.in_process import result_of
from tests.second_api.api import KEY, second_api

START, END = "maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc"
UNKNOWN = "it is not known whether it is open"
Run = Callable[..., PlaybookRun]


def hours(start: Any, end: Any) -> dict[str, Any]:
    return {START: start, END: end}


UNREADABLE = [(99, 3), ("22", "23:30"), (3, None), (None, 3), (2.5, 4), (-1, 3), (True, 3), (float("nan"), 3), ([], 3)]


@pytest.mark.parametrize(("start", "end"), UNREADABLE)
def test_the_gate_the_plan_and_the_policy_module_report_an_unknown_window(start: Any, end: Any) -> None:
    with second_api(instances=2, policy=hours(start, end)) as api:
        batch = {one.hostname: one.id for one in api.instances}
        verdict = result_of(api, "rollout_gate", next_batch=batch, min_healthy_share=0)
        assert (verdict["verdict"], verdict["go"]) == ("inconclusive", False)
        assert UNKNOWN in verdict["reasons"][0]
        plan = result_of(api, "rollout_plan", instances=batch)
        assert not plan["window"]["open"] and plan["window"]["fits"] == "none" and UNKNOWN in plan["window"]["problem"]
        assert any(UNKNOWN in line for line in plan["text"]) and not any(
            "no maintenance" in line for line in plan["text"]
        )
        policy = result_of(api, "update_policy_info")
        assert policy["window_open"] is False and UNKNOWN in policy["window_problem"]
        overridden = result_of(
            api, "rollout_gate", next_batch=batch, min_healthy_share=0, override_window=True, override_reason="INC-1"
        )
        assert overridden["verdict"] == "pass"
        assert api.writes() == []


@pytest.mark.parametrize(("start", "end"), [(None, None), (0, 0), (7, 7), (24, 0)])
def test_missing_or_equal_hours_mean_no_window(start: Any, end: Any) -> None:
    with second_api(instances=1, policy=hours(start, end)) as api:
        policy = result_of(api, "update_policy_info")
        assert policy["window_open"] and policy["window_problem"] is None


@pytest.mark.playbook
@pytest.mark.parametrize("playbook", ["rolling_redeploy", "fleet_rollout"])
def test_with_an_unreadable_window_a_playbook_starts_nothing_and_ends_with_4(run_playbook: Run, playbook: str) -> None:
    with second_api(instances=2, policy=hours(3, None)) as api:
        run = run_playbook(api, f"playbooks/{playbook}.yml")
        assert run.rc == 4, run.output
        assert UNKNOWN in run.output and f"{END} is null" in run.output
        assert api.writes() == []


@pytest.mark.playbook
def test_the_playbook_update_policy_can_repair_the_window(run_playbook: Run) -> None:
    with second_api(instances=1) as api:
        api.policy.update(hours(3, None))
        run = run_playbook(api, "playbooks/update_policy.yml")
        assert run.rc == 0 and UNKNOWN in run.output
        run = run_playbook(api, "playbooks/update_policy.yml", e={"fleetops_window_end_hour": 5})
        assert run.rc == 0, run.output
        assert (api.policy[START], api.policy[END]) == (3, 5)


@pytest.mark.playbook
def test_with_an_unreadable_window_the_lookups_fail_closed(run_playbook: Run, tmp_path: Path) -> None:
    book = tmp_path / "read.yml"
    lookup = "lookup('fleetops.agents.update_policy'{})"
    book.write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        + "".join(
            f"    - ansible.builtin.debug:\n        msg: \"found {{{{ {lookup.format(term)} }}}}\"\n"
            f"      ignore_errors: {ignore}\n"
            for term, ignore in (("", True), (f", '{START}'", True), (", 'max_parallel_rollouts'", False))
        )
    )  # fmt: skip
    with second_api(instances=1, policy=hours(3, None)) as api:
        run = run_playbook(api, book)
        assert run.rc == 0, run.output
        assert run.total("ignored") == 2 and "found 2" in run.output


@pytest.mark.parametrize(("start", "end"), [(99, 3), ("22", "23:30"), (3, None)])
def test_the_console_shows_an_unreadable_window_as_unknown(start: Any, end: Any, tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with second_api(instances=1, policy=hours(start, end)) as api:
        settings = Settings(database=database, run_log_dir=tmp_path / "none")
        sync_once(settings, connection=ApiConnection(api.url, KEY), run_logs=False, api_options=ApiOptions())
        [policy] = policy_queries.policies(database)
        state = policy_queries.state_of(policy_queries.Window.of_policy(policy["raw"]), time.time())
        assert (state.is_known, state.is_open) == (False, False) and UNKNOWN in state.sentence
        assert len(policy_queries.outside_window(database, api.url)) == 0
