# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E11 to E26: the operations on one instance."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from tests.simulator import agents, audit, memory, orders
from tests.simulator.engine import Engine
from tests.simulator.fleet import Instance
from tests.simulator.policy import COMPONENTS, check_mode, instance_policy
from tests.simulator.session import allow, client_ip, engine_of, world_of
from tests.simulator.views import Views

router = APIRouter(prefix="/v1/instances/{instance_id}")
Mode = Literal["auto", "notify", "disabled"]


class InstancePolicyPatch(BaseModel):
    """The value null clears an override."""

    model_config = ConfigDict(strict=True, extra="allow")
    runtime: Mode | None = None
    skills: Mode | None = None
    mcp_servers: Mode | None = None


def _found(request: Request, instance_id: UUID) -> tuple[Engine, Instance]:
    engine = engine_of(request)
    return engine, orders.find_instance(engine, str(instance_id))


@router.get("/actions", operation_id="list_instance_actions", dependencies=[allow("user")])
async def list_instance_actions(
    request: Request, instance_id: UUID, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).actions(instance, limit))


@router.post("/actions/clear-circuit-breakers", operation_id="clear_circuit_breakers", dependencies=[allow("user")])
async def clear_circuit_breakers(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).action_result(instance, agents.clear_breakers(engine, instance)))


@router.post("/actions/power-cycle", operation_id="power_cycle", dependencies=[allow("user")])
async def power_cycle(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).action_result(instance, agents.restart(engine, instance, "power-cycle")))


@router.post("/actions/reboot", operation_id="reboot", dependencies=[allow("admin")])
async def reboot(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).action_result(instance, agents.restart(engine, instance, "reboot")))


@router.post("/actions/run-diagnostics", operation_id="run_diagnostics", dependencies=[allow("user")])
async def run_diagnostics(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).health(instance, agents.diagnose(engine, instance), cached=False))


@router.get("/health/deep", operation_id="get_deep_health", dependencies=[allow("user")])
async def get_deep_health(request: Request, instance_id: UUID, force: bool = False) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    world = world_of(request)
    if force and engine.knobs.force_health_s and world.clock.speed:
        await asyncio.sleep(engine.knobs.force_health_s / world.clock.speed)
        world.catch_up()
    row, cached = agents.deep_health(engine, instance, force)
    return JSONResponse(Views(engine).health(instance, row, cached))


@router.get("/memory", operation_id="list_memories", dependencies=[allow("user")])
async def list_memories(
    request: Request,
    instance_id: UUID,
    conversation_id: str | None = None,
    customer_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    view = Views(engine)
    rows = memory.select(memory.memories_of(engine, instance), conversation_id, customer_id)[::-1][:limit]
    memories = [view.memory(row) for row in rows]
    status = {"available": True, "backend": "mnemo"}
    return JSONResponse({"instance_id": instance.id, "count": len(memories), "memories": memories, "status": status})


@router.post("/memory", operation_id="store_memory", dependencies=[allow("user")])
async def store_memory(request: Request, instance_id: UUID, body: dict[str, Any]) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    row = memory.store(engine, instance, body)
    return JSONResponse({"instance_id": instance.id, "memory": Views(engine).memory(row), "status": "stored"})


@router.delete("/memory", operation_id="clear_memories", dependencies=[allow("user")])
async def clear_memories(request: Request, instance_id: UUID, body: dict[str, Any]) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    deleted = memory.clear(engine, instance, body)
    return JSONResponse({"instance_id": instance.id, "deleted": deleted, "status": "cleared"})


@router.get("/runtime/audit", operation_id="list_audit_events", dependencies=[allow("user")])
async def list_audit_events(
    request: Request,
    instance_id: UUID,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    view = Views(engine)
    rows = audit.ingested(engine, instance)[offset : offset + limit]
    return JSONResponse([view.audit_event(row) for row in rows])


@router.get("/runtime/audit/summary", operation_id="get_audit_summary", dependencies=[allow("user")])
async def get_audit_summary(request: Request, instance_id: UUID) -> JSONResponse:
    return JSONResponse(audit.summary(*_found(request, instance_id)))


@router.post("/runtime/redeploy", operation_id="redeploy_runtime", dependencies=[allow("admin")])
async def redeploy_runtime(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    target = orders.redeploy(engine, instance, client_ip(request))
    agents.record(engine, instance, "redeploy", target)
    return JSONResponse(
        {
            "instance_id": instance.id,
            "status": Views(engine).word("queued"),
            "message": f"Runtime {engine.catalogue.runtime} enqueued",
            "task_id": None if engine.knobs.task_id_null else target.task_id,
        }
    )


@router.get("/runtime/rollouts", operation_id="list_instance_rollouts", dependencies=[allow("user")])
async def list_instance_rollouts(
    request: Request,
    instance_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).instance_rollouts(instance, limit, offset))


@router.post("/updates/apply-all", operation_id="apply_all_updates", dependencies=[allow("user")])
async def apply_all_updates(request: Request, instance_id: UUID) -> JSONResponse:
    allow.check(request, engine_of(request).knobs.apply_all_role)
    engine, instance = _found(request, instance_id)
    skills, target = orders.apply_all(engine, instance, client_ip(request))
    agents.record(engine, instance, "apply-all", target)
    if target is None:
        agents.finish(agents.actions_of(engine, instance)[-1], engine.now)
    runtime_task_id = None if target is None or engine.knobs.task_id_null else target.task_id
    message = f"{len(skills)} skill(s) applied, runtime {'enqueued' if target else 'is current'}"
    return JSONResponse(
        {
            "instance_id": instance.id,
            "message": message,
            "runtime_task_id": runtime_task_id,
            "skills_applied": skills,
        }
    )


@router.get("/updates/available", operation_id="get_available_updates", dependencies=[allow("user")])
async def get_available_updates(request: Request, instance_id: UUID) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    return JSONResponse(Views(engine).updates(instance))


@router.patch("/updates/policy", operation_id="set_instance_update_policy", dependencies=[allow("user")])
async def set_instance_update_policy(request: Request, instance_id: UUID, body: InstancePolicyPatch) -> JSONResponse:
    engine, instance = _found(request, instance_id)
    patch = body.model_dump(exclude_unset=True)
    chosen: dict[str, str | None] = {key: patch[key] for key in COMPONENTS if key in patch}
    for component, mode in chosen.items():
        check_mode(component, component, mode)
    instance.overrides |= chosen
    return JSONResponse(instance_policy(engine.policy, instance.overrides))
