# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each module, the endpoints that it calls, and a task that the tests of all modules run.

A module that is missing here, or an endpoint that no row serves, fails tests/unit/meta/test_collection.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulator.running import Simulator

HOST = "agent-001"
Options = dict[str, Any]
_EMPTY_BACKUP = '{"memories": []}'
_SCRATCH = tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Row:
    """One module. ``serves``: the endpoints (E1 to E26) that its task calls.

    ``options(sim)`` returns the options of the task, ``prepare(sim)`` sets up the state that it works on. ``writes``:
    the operationIds that it may send. ``settles``: a second run changes nothing. ``predicts``: check mode shows the
    same diff as the run (otherwise only the same ``changed``). ``unknown``: the option that takes an id, for a 404.
    """

    serves: frozenset[int]
    options: Callable[[Simulator], Options] = lambda sim: {}
    prepare: Callable[[Simulator], None] = lambda sim: None
    writes: frozenset[str] = frozenset()
    settles: bool = True
    predicts: bool = True
    unknown: str | None = None


def _instance(sim: Simulator) -> str:
    return str(sim.instance(HOST)["id"])


def _fleet(sim: Simulator) -> dict[str, str]:
    return {row["hostname"].partition(".")[0]: row["id"] for row in sim.state()["instances"]}


def _newest(sim: Simulator) -> str:
    return str(sim.call("GET", "/v1/instances/fleet/runtime/rollouts?limit=1")[1][0]["id"])


def _failed_rollout(sim: Simulator) -> None:
    """A finished fleet rollout in which one instance failed."""
    sim.knobs(outcomes={HOST: ["failed"]})
    sim.call("POST", "/v1/instances/fleet/runtime/rollout")
    sim.advance(600)
    sim.clear_journal()


def _one_memory(sim: Simulator) -> None:
    sim.call("DELETE", f"/v1/instances/{_instance(sim)}/memory", {})
    body = {"kind": "fact", "content": "to be forgotten", "conversation_id": "conv-x"}
    sim.call("POST", f"/v1/instances/{_instance(sim)}/memory", body)
    sim.clear_journal()


def _no_memory(sim: Simulator) -> None:
    sim.call("DELETE", f"/v1/instances/{_instance(sim)}/memory", {})
    sim.clear_journal()


def _empty_backup() -> str:
    path = Path(_SCRATCH.name) / "backup.json"
    path.write_text(_EMPTY_BACKUP)
    path.chmod(0o600)
    return str(path)


def _inherited(sim: Simulator) -> None:
    sim.knobs(overrides={"*": {"runtime": None, "skills": None, "mcp_servers": None}})


def _unhealthy(disease: str) -> Callable[[Simulator], None]:
    return lambda sim: sim.knobs(disease={HOST: disease})


def rows(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


ON_INSTANCE: Mapping[str, Any] = {"unknown": "instance_id"}

TABLE: dict[str, Row] = {
    "api_request": Row(
        rows(9),
        options=lambda sim: {"path": "/v1/instances/fleet/updates/policy"},
    ),
    "fleet_state_info": Row(
        rows(1, 3, 9, 25),
        options=lambda sim: {"state": {"tenant_policy": {"max_parallel_rollouts": 2}}, "instances": _fleet(sim)},
    ),
    "instance_action_info": Row(rows(11), **ON_INSTANCE),
    "instance_audit_info": Row(rows(20, 21), **ON_INSTANCE),
    "instance_circuit_breakers": Row(
        rows(12, 16), prepare=_unhealthy("breakers"), writes=frozenset({"clear_circuit_breakers"}), **ON_INSTANCE
    ),
    "instance_diagnostics": Row(rows(15, 16), writes=frozenset({"run_diagnostics"}), **ON_INSTANCE),
    "instance_health_info": Row(rows(16), **ON_INSTANCE),
    "instance_memory": Row(
        rows(17, 18),
        options=lambda sim: {"content": "invoices go out on Fridays", "kind": "fact", "conversation_id": "conv-9"},
        prepare=_no_memory,
        writes=frozenset({"store_memory"}),
        **ON_INSTANCE,
    ),
    "instance_memory: absent": Row(
        rows(17, 19),
        options=lambda sim: {"state": "absent", "conversation_id": "conv-x"},
        prepare=_one_memory,
        writes=frozenset({"clear_memories"}),
        **ON_INSTANCE,
    ),
    # The file that it saves is tested in test_memory_backup.py; this table is about API calls.
    "instance_memory_backup": Row(
        rows(17), options=lambda sim: {"path": _empty_backup(), "state": "compared"}, **ON_INSTANCE
    ),
    "instance_memory_info": Row(rows(17), **ON_INSTANCE),
    "instance_power_cycle": Row(
        rows(11, 13, 16),
        options=lambda sim: {"min_uptime": 600},
        prepare=_unhealthy("process"),
        writes=frozenset({"power_cycle"}),
        **ON_INSTANCE,
    ),
    "instance_reboot": Row(
        rows(11, 14, 16),
        options=lambda sim: {"min_uptime": 600},
        prepare=_unhealthy("vps"),
        writes=frozenset({"reboot"}),
        **ON_INSTANCE,
    ),
    "instance_rollout_info": Row(rows(23), **ON_INSTANCE),
    "instance_runtime": Row(rows(3, 9, 16, 22, 23, 25), writes=frozenset({"redeploy_runtime"}), **ON_INSTANCE),
    "instance_update": Row(rows(16, 23, 24, 25), writes=frozenset({"apply_all_updates"}), **ON_INSTANCE),
    "instance_update_info": Row(rows(25), **ON_INSTANCE),
    "instance_update_policy": Row(
        rows(25, 26),
        options=lambda sim: {"runtime": "disabled"},
        prepare=_inherited,
        writes=frozenset({"set_instance_update_policy"}),
        **ON_INSTANCE,
    ),
    "rollout": Row(
        rows(2, 3, 4, 25),
        options=lambda sim: {"state": "started", "only_if_outdated": list(_fleet(sim).values())},
        writes=frozenset({"start_fleet_rollout"}),
    ),
    # The file that it writes is tested in test_memory_backup_file.py and test_other_playbooks.py.
    "report_file": Row(rows(), options=lambda sim: {"path": _empty_backup(), "content": _EMPTY_BACKUP}),
    "rollout_end": Row(rows(), options=lambda sim: {"verdict": "pass"}),
    "rollout_gate": Row(rows(3, 9, 16), options=lambda sim: {"next_batch": _fleet(sim)}),
    "rollout_info": Row(
        rows(1, 4),
        options=lambda sim: {"rollout_id": _newest(sim), "gather": ["targets", "timeline"]},
        unknown="rollout_id",
    ),
    "rollout_plan": Row(rows(1, 3, 9, 25), options=lambda sim: {"instances": _fleet(sim)}),
    "rollout_report": Row(rows(25), options=lambda sim: {"instances": _fleet(sim)}),
    "rollout_target": Row(
        rows(4, 8),
        options=lambda sim: {"rollout_id": _newest(sim), "select": "failed"},
        prepare=_failed_rollout,
        writes=frozenset({"retry_rollout_target"}),
        unknown="rollout_id",
    ),
    "update_policy": Row(
        rows(9, 10),
        options=lambda sim: {"max_parallel_rollouts": 3},
        writes=frozenset({"set_fleet_update_policy"}),
    ),
    "update_policy_info": Row(rows(9)),
}


def _under_way(sim: Simulator) -> None:
    sim.call("POST", "/v1/instances/fleet/runtime/rollout")
    sim.clear_journal()


def _paused(sim: Simulator) -> None:
    _under_way(sim)
    sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{_newest(sim)}/pause")
    sim.clear_journal()


TABLE |= {
    f"rollout: {state}": Row(
        rows(4, number),
        options=lambda sim, state=state: {"state": state, "rollout_id": _newest(sim)},  # type: ignore[misc]
        prepare=prepare,
        writes=frozenset({write}),
        unknown="rollout_id",
    )
    for state, number, write, prepare in (
        ("cancelled", 5, "cancel_rollout", _under_way),
        ("paused", 6, "pause_rollout", _under_way),
        ("running", 7, "resume_rollout", _paused),
    )
}


def module_of(case: str) -> str:
    """The module of a row. A module may have several rows: ``rollout: paused`` is one of the module rollout."""
    return case.partition(":")[0]
