# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a run cannot be made with its variables or its hosts."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.run_variables import (
    problem_of_hosts,
    problem_of_servers,
    problem_of_variables,
)

GOOD = {"fleetops_plan_for": "redeploy", "fleetops_state": "latest", "fleetops_pace": "batches"}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, ""),
        (
            {"fleetops_plan_for": "reboots"},
            "fleetops_plan_for is reboots: it must be redeploy, updates, restart or repair.",
        ),
        (
            {"fleetops_memory_action": "delete"},
            "fleetops_memory_action is delete: it must be save, verify or restore.",
        ),
        ({"fleetops_state": "checked"}, "fleetops_state is checked: it must be latest or redeployed."),
        ({"fleetops_pace": "quick"}, "fleetops_pace is quick: it must be batches or continuous."),
        (
            {"fleetops_change": "X1", "fleetops_change_pattern": "CHG[0-9]+"},
            "fleetops_change is 'X1', which does not match CHG[0-9]+. Nothing was done.",
        ),
        ({"fleetops_plan_required": True, "fleetops_plan_hash": "1-2-3"}, ""),
        ({"fleetops_batch_max": None}, ""),
        ({"fleetops_batch_max": " 4"}, ""),
        ({"fleetops_batch_max": 4.0}, ""),
        ({"fleetops_batch_max": "25%"}, "fleetops_batch_max is '25%': it must be a whole number of at least 1."),
        ({"fleetops_audit_since": "", "fleetops_audit_limit": 1}, ""),
        ({"fleetops_audit_since": "2026-11-23"}, ""),
        (
            {"fleetops_audit_since": "yesterday"},
            "fleetops_audit_since is 'yesterday': it must be a time such as 2026-11-23T00:00:00Z.",
        ),
        ({"fleetops_audit_limit": 0}, "fleetops_audit_limit is 0: it must be a whole number of at least 1."),
        ({"fleetops_batch_max": True}, "fleetops_batch_max is True: it must be a whole number of at least 1."),
        ({"fleetops_healthy_reads": 0, "fleetops_wait_timeout": 0, "fleetops_expected_seconds": 0.0}, ""),
        ({"fleetops_healthy_reads": -1}, "fleetops_healthy_reads is -1: it must be 0 or more."),
        ({"fleetops_uncertain_grace": -1}, "fleetops_uncertain_grace is -1: it must be 0 or more."),
        ({"fleetops_wait_interval": 0.0}, "fleetops_wait_interval is 0.0: it must be above 0 seconds."),
        (
            {"fleetops_wait_timeout": 10**12},
            "fleetops_wait_timeout is 1000000000000: it must be a number of at most 9 digits.",
        ),
        (
            {"fleetops_healthy_timeout": float("nan")},
            "fleetops_healthy_timeout is nan: it must be a number of at most 9 digits.",
        ),
    ],
)
def test_the_first_problem_of_the_variables_is_named(asked: dict[str, object], problem: str) -> None:
    assert problem_of_variables({**GOOD, **asked}, check_mode=False) == problem


def test_a_plan_is_not_required_in_check_mode() -> None:
    asked = {**GOOD, "fleetops_plan_required": True, "fleetops_plan_hash": " "}
    assert problem_of_variables(asked, check_mode=False).startswith("This run needs an approved plan")
    assert problem_of_variables(asked, check_mode=True) == ""


def test_each_host_without_an_id_is_named() -> None:
    problem = problem_of_hosts({"web-1": None, "agent-001": "4f0c", "web-2": None})
    assert problem.startswith("These hosts have no fleetops_instance_id: web-1, web-2.")
    assert problem_of_hosts({}) == problem_of_hosts({"agent-001": "4f0c", "agent-002": "5f0c"}) == ""


OURS, OF_TENANT = ("https://a.example", "key-1"), ("https://a.example", "key-2")
OF_US = ("https://us.example", "key-3")


@pytest.mark.parametrize(
    ("servers", "problem"),
    [
        ({}, ""),
        ({"a": OURS, "b": OURS}, ""),
        (
            {"a": OURS, "b": OURS, "c": OF_US},
            "a is an instance of https://a.example, and c is one of https://us.example.",
        ),
        ({"a": OURS, "b": OF_TENANT}, "a and b have different keys."),
        ({"a": ("", ""), "b": OF_US}, "a is an instance of no server (FLEETOPS_API_URL is not set), and b is one of"),
    ],
)
def test_hosts_of_two_servers_or_tenants_are_not_in_one_run(servers: dict[str, tuple[str, str]], problem: str) -> None:
    """The plan would take the hosts of the other server for instances that no longer exist."""
    found = problem_of_servers(servers)
    assert found.startswith(problem) and bool(found) is bool(problem)
    assert "key-" not in found
