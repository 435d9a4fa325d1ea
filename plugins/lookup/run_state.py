# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: the state of a rolling run, which its roles keep as the fact fleetops_run of localhost."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_state
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: The state of a rolling run
description:
  - The roles C(fleet_preflight) and C(fleet_report) keep the state of a run as the fact C(fleetops_run) of
    C(localhost). This lookup reads it from the variables of the play and returns the next one, for C(set_fact) to
    store. The README of the role C(fleet_preflight) lists its keys.
  - The terms V(instances), V(outcomes) and V(earlier_results) collect a variable of each host.
  - The server is not called, and nothing is stored. Use it only with these roles, or in a rolling play of your own.
options:
  _terms:
    description:
      - One of these words.
      - V(instances), all hosts of the play with their C(fleetops_instance_id).
      - V(outcomes), the C(fleetops_result) of each host whose batch has begun.
      - V(earlier_results), the C(fleetops_result) that planned hosts have from an earlier run of this process.
      - V(members), under C(members) the planned hosts with their variables. Empty unless the verdict is C(pass).
      - V(problem_of_hosts), under C(problem) a sentence that names the hosts of the play without a
        C(fleetops_instance_id), two hosts with the same one, or two hosts whose servers or keys differ. Empty if there
        are none. Servers and keys are those in the variables C(fleetops_api_url) and C(fleetops_api_key), and in the
        files of the plugin P(fleetops.agents.fleet#inventory).
      - V(problem_of_variables), under C(problem) a sentence that says why the run cannot be made with the variables in
        O(asked). Empty if it can. If a variable is a task file, that file is read, and so are the files and roles that
        it includes by name. If it is a folder to write to, its path is checked.
      - V(started), the state before the gate is asked about the first batch.
      - V(refused), the state of a run that ends before its first batch.
      - V(batch_started), the state with the hosts of the play's current batch.
      - V(judged), the state with the verdict of the gate.
      - V(batch_ended), the state with the C(fleetops_result) of each host of the batch.
      - V(ended), the state after the last batch. Its verdict is C(fail) if no gate stopped the run although a planned
        host was in no batch.
      - V(reported), the state with what the report says about the run as a whole.
      - V(audits), the report of the role C(audit_report), from the C(fleetops_audit_read) and C(fleetops_audit_events)
        of each host of the play.
    type: list
    elements: str
    required: true
  asked:
    description: With V(problem_of_variables), the variables of the run with their values. Missing variables are not
      checked.
    type: dict
    default: {}
    version_added: 0.2.0
  since:
    description: With V(audits), the time since which events were read. Empty if none were read.
    type: str
    default: ""
    version_added: 0.2.0
  plan:
    description:
      - With V(started), V(members) and V(refused), the result of M(fleetops.agents.rollout_plan), empty if there is
        none.
    type: dict
    default: {}
  expected_seconds:
    description: With V(started) and V(batch_started), how many seconds a batch takes if the plan does not
      say so.
    type: float
    default: 180
  override_reason:
    description: With V(started), why the maintenance window is overridden, empty if it is not.
    type: str
    default: ""
  change:
    description: With V(started) and V(refused), the change under which the run is made.
    type: str
    default: ""
  reason:
    description: With V(refused), why the run ends.
    type: str
    default: The run was refused.
  gate:
    description: With V(judged), the result of M(fleetops.agents.rollout_gate).
    type: dict
    default: {}
  report:
    description: With V(reported), the RV(fleetops.agents.rollout_report#module:report).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Report what the run did
  fleetops.agents.rollout_report:
    instances: "{{ lookup('fleetops.agents.run_state', 'instances') }}"
    outcomes: "{{ lookup('fleetops.agents.run_state', 'outcomes') }}"
  run_once: true

- name: Record what became of the batch
  ansible.builtin.set_fact:
    fleetops_run: "{{ lookup('fleetops.agents.run_state', 'batch_ended') }}"
  run_once: true
  delegate_to: localhost
  delegate_facts: true
"""

RETURN = r"""
_raw:
  description: One mapping. It is the state, or maps the names of hosts to their ids or results, or is as described
    above for the term.
  returned: always
  type: list
  elements: dict
  sample:
    - {agent-001: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10}
"""

import os
import uuid
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._rules import run_state
from ..module_utils._rules.audit import names_with_results_of_others, report_of
from ..module_utils._rules.run_variables import problem_of_hosts, problem_of_servers, problem_of_variables
from ..module_utils._steps.whole_file import FileError, absolute_path
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._inventory.addresses import server_by_variables, servers_by_files
from ..plugin_utils._lookups.task_files import problem_of_task_file

_FOLDERS = ("fleetops_memory_dir", "fleetops_audit_dir")
_TASK_FILES = ("fleetops_before_tasks", "fleetops_after_tasks")


class LookupModule(StrictOptions, LookupBase):
    """Reads the play's variables; what a state is and how it changes is in plugins/module_utils/_rules/run_state.py."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        self._variables = variables or {}
        if len(terms) != 1 or terms[0] not in _TERMS:
            raise AnsibleLookupError(
                f"The lookup fleetops.agents.run_state takes one of {', '.join(_TERMS)}, not {terms}."
            )
        try:
            return [_TERMS[terms[0]](self)]
        except ValueError as problem:
            raise AnsibleLookupError(str(problem)) from None

    def instances(self) -> dict[str, Any]:
        return self._of_hosts(self._variables["ansible_play_hosts_all"], "fleetops_instance_id")

    def outcomes(self) -> dict[str, Any]:
        return self._of_hosts(self._state()["begun"], "fleetops_result")

    def earlier_results(self) -> dict[str, Any]:
        return self._of_hosts(self._state()["order"], "fleetops_result")

    def members(self) -> dict[str, Any]:
        return {"members": run_state.members(self._state(), self.get_option("plan"))}

    def problem_of_hosts(self) -> dict[str, Any]:
        hostvars, names = self._variables["hostvars"], self._variables["ansible_play_hosts_all"]
        ids, servers = {}, {}
        # Each access to hostvars computes all variables of that host, so each host is accessed once.
        for name, variables in ((name, hostvars[name]) for name in names):
            ids[name] = variables.get("fleetops_instance_id")
            servers[name] = server_by_variables(variables, os.environ)
        problem = problem_of_hosts(ids) or problem_of_servers(servers)
        return {"problem": problem or problem_of_servers(servers_by_files(names))}

    def problem_of_variables(self) -> dict[str, Any]:
        asked = self.get_option("asked")
        problem = problem_of_variables(asked, check_mode=self._variables["ansible_check_mode"])
        # If a task file could not be included later, Ansible could end with exit code 0 although the run was refused.
        for variable in _TASK_FILES:
            path = asked.get(variable)
            if not problem and path and (why := problem_of_task_file(str(path), self._loader)):
                problem = f"{variable} is {path}, which {why}. Nothing was done."
        for variable in _FOLDERS:
            if not problem and (given := asked.get(variable)):
                try:
                    # As Ansible does with the option of a module.
                    absolute_path(os.path.expanduser(os.path.expandvars(given)))  # noqa: PTH111
                except FileError as bad:
                    problem = f"{bad} ({variable}). Nothing was done."
        return {"problem": problem}

    def audits(self) -> dict[str, Any]:
        since, names = self.get_option("since"), self._variables["ansible_play_hosts"]
        # Hosts that have failed are left out: their result may be from an earlier run of this process.
        summaries = self._of_hosts(names, "fleetops_audit_read")
        events = self._of_hosts(names, "fleetops_audit_events") if since else None
        if other := names_with_results_of_others(self.instances(), summaries):
            raise AnsibleLookupError(
                f"The result of {', '.join(other)} belongs to another instance, because one task ran for all hosts. "
                "Import the role audit_report without run_once."
            )
        return report_of(self._variables["ansible_play_hosts_all"], summaries, events, since=since)

    def started(self) -> dict[str, Any]:
        return run_state.started(
            self.instances(),
            self.get_option("plan"),
            in_play=self._variables["ansible_play_hosts"],
            group=run_state.free_group(self._variables["groups"]),
            expected_seconds=self.get_option("expected_seconds"),
            override_reason=self.get_option("override_reason"),
            change=self.get_option("change"),
            run=uuid.uuid4().hex,
        )

    def refused(self) -> dict[str, Any]:
        group = run_state.free_group(self._variables["groups"])
        reason, plan, change = (self.get_option(name) for name in ("reason", "plan", "change"))
        return run_state.refused(reason, plan, group=group, change=change)

    def batch_started(self) -> dict[str, Any]:
        names, seconds = self._variables["ansible_play_batch"], self.get_option("expected_seconds")
        in_play = self._variables["ansible_play_hosts"]
        return run_state.batch_started(self._state(), names, in_play=in_play, expected_seconds=seconds)

    def judged(self) -> dict[str, Any]:
        return run_state.judged(self._state(), self.get_option("gate"))

    def batch_ended(self) -> dict[str, Any]:
        state = self._state()
        results = self._of_hosts(state["batch"], "fleetops_result")
        return run_state.batch_ended(state, results, self._variables["ansible_play_batch"])

    def ended(self) -> dict[str, Any]:
        return run_state.ended(self._state())

    def reported(self) -> dict[str, Any]:
        return run_state.reported(self._state(), self.get_option("report"))

    def _state(self) -> dict[str, Any]:
        localhost = self._variables["hostvars"]["localhost"]
        if "fleetops_run" not in localhost:
            raise AnsibleLookupError(
                "There is no run: the fact fleetops_run of localhost is not set. Import the role "
                "fleetops.agents.fleet_preflight in a play before this one."
            )
        return localhost["fleetops_run"]

    def _of_hosts(self, names: Iterable[str], variable: str) -> dict[str, Any]:
        """The variable of each host that has it, by the host's name."""
        hostvars = self._variables["hostvars"]
        # Each access to hostvars computes all variables of that host, so each host is accessed once.
        found = ((name, hostvars[name]) for name in names)
        return {name: variables[variable] for name, variables in found if variable in variables}


_TERMS = {
    method.__name__: method
    for method in (
        LookupModule.instances,
        LookupModule.outcomes,
        LookupModule.earlier_results,
        LookupModule.members,
        LookupModule.problem_of_hosts,
        LookupModule.problem_of_variables,
        LookupModule.audits,
        LookupModule.started,
        LookupModule.refused,
        LookupModule.batch_started,
        LookupModule.judged,
        LookupModule.batch_ended,
        LookupModule.ended,
        LookupModule.reported,
    )
}
