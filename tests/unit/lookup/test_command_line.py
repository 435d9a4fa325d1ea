# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arguments of the ansible-playbook command line that a playbook of the collection refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.command_line import (
    refusal_by_connection,
    refusal_by_limit,
    refusal_by_tasks,
    refusal_by_variables,
)
from tests.conftest import CHECKOUT

OURS = ("fleetops.agents.rolling_redeploy",)
BY_PATH = (str(CHECKOUT / "playbooks" / "rolling_redeploy.yml"),)
PATTERN = (str(CHECKOUT / "extensions" / "patterns" / "fleet_ops" / "playbooks" / "reboot.yml"),)


@pytest.mark.parametrize(
    ("playbooks", "tags", "skipped", "message"),
    [
        (OURS, ["all"], [], ""),
        (OURS, ["all"], ["other"], ""),
        (OURS, ["untagged"], [], ""),
        (OURS, ["deploy", "all"], [], ""),
        (OURS, ["deploy"], [], "No task is left with --tags deploy:"),
        (BY_PATH, ["a", "b"], ["c"], "No task is left with --tags a,b and --skip-tags c:"),
        (PATTERN, ["always"], [], "--tags always:"),
        (OURS, ["tagged"], [], "--tags tagged:"),
        (OURS, ["all"], ["untagged"], "No task is left with --skip-tags untagged:"),
        (OURS, ["all"], ["all"], "No task is left with --skip-tags all:"),
        # The tags of an import and of other tasks in the file are not known here.
        (("site.yml",), ["deploy"], [], ""),
        ((*OURS, "site.yml"), ["deploy"], [], ""),
        # A program other than ansible-playbook.
        ("a pattern", ["deploy"], [], ""),
        (None, None, None, ""),
    ],
)
def test_tags_that_select_no_task_are_refused(
    playbooks: tuple[str, ...] | str | None, tags: list[str] | None, skipped: list[str] | None, message: str
) -> None:
    found = refusal_by_tasks({"args": playbooks, "tags": tags, "skip_tags": skipped}, CHECKOUT)
    assert message in found and bool(found) is bool(message)


@pytest.mark.parametrize(
    ("playbooks", "refused"), [(OURS, True), (BY_PATH, True), (PATTERN, True), (("site.yml",), False)]
)
def test_start_at_task_is_refused_for_playbooks_of_the_collection(playbooks: tuple[str, ...], refused: bool) -> None:
    found = refusal_by_tasks({"args": playbooks, "tags": ["all"], "start_at_task": "no such task"}, CHECKOUT)
    assert ("(--start-at-task no such task)" in found) is bool(found) is refused


@pytest.mark.parametrize(
    ("playbooks", "refused"), [(OURS, True), (BY_PATH, True), (PATTERN, True), (("site.yml",), False)]
)
def test_step_is_refused_for_playbooks_of_the_collection(playbooks: tuple[str, ...], refused: bool) -> None:
    assert ("(--step)" in refusal_by_tasks({"args": playbooks, "tags": ["all"], "step": True}, CHECKOUT)) is refused
    assert refusal_by_tasks({"args": playbooks, "tags": ["all"], "step": False}, CHECKOUT) == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, ""),
        ({"region": "eu", "ansible_eda": {}}, ""),
        ({"fleetops_hosts": "eu", "fleetops_only_if_unhealthy": "", "fleetops_api_url": "x", "fleetops_waves": []}, ""),
        # As an AWX workflow passes the stats of an earlier node.
        ({"fleetops_report": {}, "fleetops_plan_text": [], "fleetops_policy": {}}, ""),
        # The run would take the whole fleet.
        ({"fleetops_host": "agent-001*"}, "No playbook reads fleetops_host. Did you mean fleetops_hosts?"),
        ({"fleetops_batchmax": 1}, "fleetops_batchmax. Did you mean fleetops_batch_max?"),
        ({"fleetops_max_parallel": 4}, "No playbook reads fleetops_max_parallel."),
        # Another spelling of the prefix.
        ({"FLEETOPS_HOSTS": "eu"}, "No playbook reads FLEETOPS_HOSTS. Did you mean fleetops_hosts?"),
        ({"fleetops-batch-max": 1}, "reads fleetops-batch-max. Did you mean fleetops_batch_max?"),
        ({"fleetop_hosts": "eu", "fleet_ops_host": 1}, "fleet_ops_host. Did you mean fleetops_hosts? No playbook"),
        ({"fleet_hosts": "eu", "acme_fleetops_hosts": 1, "fleetop_team": "x", "FLEETOPS_HOME": "/x"}, ""),
        # Variables of the run itself, and of one host.
        ({"fleetops_group": "eu"}, "No playbook reads fleetops_group."),
        ({"fleetops_run": {}, "fleetops_instance_id": "x"}, "fleetops_instance_id. No playbook reads fleetops_run."),
        ({"fleetops_result": {"changed": False}}, "No playbook reads fleetops_result."),
        # The plan would be for restarts, and the run would redeploy.
        ({"fleetops_plan_for": "restart"}, "fleetops_plan_for cannot be given: each playbook sets it itself."),
        # -e 'fleetops_hosts= agent-001*' and -e 'fleetops_hosts=agent-001*, agent-002*', as Ansible reads them.
        ({"fleetops_hosts": "", "_raw_params": "agent-001*"}, "Ansible has read only a part of the extra variables"),
        ({"fleetops_hosts": "agent-001*,", "_raw_params": "agent-002*"}, """Write -e "NAME='VALUE'\""""),
        # -e "$VARIABLES" in a script, with a blank value.
        ({"fleetops_hosts": "eu", "_raw_params": " "}, ""),
    ],
)  # fmt: skip
def test_an_extra_variable_that_no_playbook_reads_is_refused(given: dict[str, Any], message: str) -> None:
    found = refusal_by_variables({"args": OURS}, CHECKOUT, given)
    assert message in found and bool(found) is bool(message)
    imported = refusal_by_variables({"args": ("site.yml",)}, CHECKOUT, given)
    assert imported == (found if given.keys() & {"fleetops_plan_for", "_raw_params"} else "")


@pytest.mark.parametrize(
    ("limit", "extra", "variables", "refused"),
    [
        (None, {}, {}, False),
        # Ansible sets the variable from --limit, and variables of other sources do not override it.
        ("eu", {}, {"ansible_limit": "eu"}, False),
        (None, {"ansible_limit": "eu"}, {"ansible_limit": "eu"}, True),
        ("us", {"ansible_limit": "eu"}, {"ansible_limit": "us"}, True),
        # From import_playbook.
        (None, {}, {"ansible_limit": "eu"}, True),
        (None, {}, {"ansible_limit": ""}, False),
    ],
)
def test_a_variable_that_looks_like_the_limit_is_refused(
    limit: str | None, extra: dict[str, Any], variables: dict[str, Any], refused: bool
) -> None:
    """The run would act on the whole fleet."""
    assert ("Use --limit" in refusal_by_limit({"subset": limit}, extra, variables)) is refused


@pytest.mark.parametrize(
    ("variables", "environ", "message"),
    [
        ({}, {}, ""),
        ({"fleetops_api_url": "", "fleetops_api_key": None}, {}, ""),
        ({"fleetops_api_url": "HTTPS://a.example/v1/"}, {"FLEETOPS_API_URL": "https://a.example:443"}, ""),
        ({"fleetops_api_key": "secret"}, {"FLEETOPS_API_KEY": "secret"}, ""),
        ({"fleetops_api_url": "https://a.example"}, {"FLEETOPS_API_URL": "https://b.example"}, "is another address"),
        ({"fleetops_api_url": "https://a.example"}, {}, "FLEETOPS_API_URL in the environment, which is not set"),
        ({"fleetops_api_url": "nonsense"}, {"FLEETOPS_API_URL": "https://b.example"}, "which is another address"),
        ({"fleetops_api_key": "secret"}, {"FLEETOPS_API_KEY": "other"}, "in the environment, which is another key"),
    ],
)  # fmt: skip
def test_a_run_that_would_read_from_one_server_and_change_another_is_refused(
    variables: dict[str, Any], environ: dict[str, str], message: str
) -> None:
    found = refusal_by_connection({"args": OURS}, CHECKOUT, variables, environ)
    assert message in found and bool(found) is bool(message) and "secret" not in found
    # In a user's playbook, tasks may have an address of their own.
    assert refusal_by_connection({"args": ("site.yml",)}, CHECKOUT, variables, environ) == ""
