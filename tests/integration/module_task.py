# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module as the action plugin does, over real HTTP, with pauses that only move the simulator's clock."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, Operation, execute
from tests.integration.documented_returns import MODULES, undocumented
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer

# The value that each setting has before a test.
AT_REST: dict[str, Any] = {
    "outcomes": {"*": []},
    "disease": {"*": "none"},
    "unhealthy_after_deploy": {"*": None},
    "overrides": {"*": {"runtime": None, "skills": None, "mcp_servers": None}},
    "policy": {
        "maintenance_window_start_hour_utc": 0,
        "maintenance_window_end_hour_utc": 0,
        "max_parallel_rollouts": 2,
    },
    "deploy_s": [20, 20],
    "clock_skew_s": 0,
    "list_lag_s": 0,
    "manifest_lag_s": 0,
    "late_result_s": None,
    "window_error": 409,
    "window_applies_to": "fleet",
    "max_parallel_mode": "queue",
    "task_id_null": False,
    "celery_task_id_null": False,
    "status_words": "canonical",
    "timestamps": "offset",
    "completed_at_empty": "null",
    "force_always_cached": False,
    "force_while_down": "cached",
    "error_message": "bundle checksum mismatch on the agent",
}

# What a message says about a health record that is older than what it should show.
OLD_RECORD = re.compile(
    r"the server only has an old health record \(\w+, checked at 20\S+\), so its health now is unknown; the module "
    r"instance_diagnostics checks it"
)


def put_to_rest(sim: Simulator) -> None:
    """End what is under way, restore every setting, and publish a version that no instance runs."""
    sim.clear_faults()
    for row in sim.state()["rollouts"]:
        if row["status"] not in ("completed", "partial", "failed", "cancelled"):
            sim.call("POST", f"/v1/instances/fleet/runtime/rollouts/{row['id']}/cancel?force=true")
    sim.knobs(**AT_REST)
    sim.advance(1000)
    sim.knobs(publish=f"9.{time.monotonic_ns()}.0")
    sim.clear_journal()


@dataclass
class ModuleTask:
    """A finished task: its result, its warnings, and its pauses in seconds."""

    result: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @property
    def msg(self) -> str:
        return str(self.result.get("msg", ""))


def operation_of(module: str) -> Operation:
    return importlib.import_module(MODULES + module).OPERATION


def run_module(sim: Simulator | CrookedServer, module: str, host: str = "agent-001", /, **how: Any) -> ModuleTask:
    """Run one task as run_unchecked does. Its result must agree with the module's RETURN."""
    done = run_unchecked(sim, module, host, **how)
    assert undocumented(module, done.result) == []
    return done


def run_unchecked(
    sim: Simulator | CrookedServer,
    module: str,
    host: str = "agent-001",
    /,
    *,
    check: bool = False,
    key: str | None = None,
    inventory_host: str = "",
    during: Callable[[int], None] | None = None,
    **options: Any,
) -> ModuleTask:
    """Run one task of ``module`` with --diff. An instance_* module acts on ``host`` unless ``instance_id`` is given.

    ``inventory_host``: the name of the instance in messages, instead of its id.
    ``during(n)`` is called in its n-th pause (1, 2, ...). Options that do not fit the spec are an AssertionError.
    """
    operation = operation_of(module)
    done = ModuleTask()
    given = {"api_url": sim.url, "api_key": key or sim.admin_key, **options}
    if operation.on_instance and "instance_id" not in given:
        given["instance_id"] = sim.instance(host)["id"]
    checked = ArgumentSpecValidator(operation.argument_spec(), **operation.rules).validate(given)
    assert not checked.error_messages, checked.error_messages

    def sleep(seconds: float) -> None:
        done.pauses.append(seconds)
        if during is not None:
            during(len(done.pauses))
        sim.advance(seconds)

    context = Context(
        checked.validated_parameters,
        check_mode=check,
        host=inventory_host,
        warn=done.warnings.append,
        clock=lambda: sum(done.pauses),
        sleep=sleep,
    )
    done.result = execute(operation, context, diff_mode=True)
    return done


def posts(sim: Simulator) -> list[str]:
    """The operations of all writes in the journal."""
    return [row["operation_id"] for row in sim.writes()]


def sound(done: ModuleTask) -> dict[str, Any]:
    """The result of a task that did not fail."""
    assert not done.result.get("failed"), done.result
    return done.result


def redeploy_by_another(sim: Simulator, host: str = "agent-001") -> str:
    """Another user starts a redeploy. Returns the id of its task."""
    status, answer = sim.call("POST", f"/v1/instances/{sim.instance(host)['id']}/runtime/redeploy")
    assert status == 200
    sim.clear_journal()
    return str(answer["task_id"])
