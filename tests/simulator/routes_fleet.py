# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""E1 to E10: rollouts of the tenant and its update policy."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tests.simulator import orders
from tests.simulator.session import allow, client_ip, engine_of
from tests.simulator.views import Views

router = APIRouter(prefix="/v1/instances/fleet")
Page = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0)]


def _integral(value: Any) -> Any:
    """JSON has a single type of number: 2.0 is the integer 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_integral)]
Hour = Annotated[Integer, Field(ge=0, le=23)]


class FleetPolicyPatch(BaseModel):
    """Unknown keys are accepted and ignored, because the API reference does not list the fields."""

    model_config = ConfigDict(strict=True, extra="allow")
    maintenance_window_start_hour_utc: Hour | None = None
    maintenance_window_end_hour_utc: Hour | None = None
    max_parallel_rollouts: Annotated[Integer, Field(ge=1)] = 2
    runtime_default: str = "notify"
    skills_default: str = "notify"
    mcp_servers_default: str = "notify"


@router.get(
    "/runtime-rollouts/{rollout_id}/timeline", operation_id="get_rollout_timeline", dependencies=[allow("user")]
)
async def get_rollout_timeline(request: Request, rollout_id: UUID) -> JSONResponse:
    engine = engine_of(request)
    return JSONResponse(Views(engine).timeline(orders.find_rollout(engine, str(rollout_id))))


@router.post("/runtime/rollout", operation_id="start_fleet_rollout", dependencies=[allow("tenant_admin")])
async def start_fleet_rollout(request: Request, override_window: bool = False) -> JSONResponse:
    if override_window:
        allow.check(request, "tenant_admin_override")
    engine = engine_of(request)
    rollout, skipped, total = orders.start_fleet_rollout(engine, override_window, client_ip(request))
    return JSONResponse(Views(engine).enqueued(rollout, skipped, total))


@router.get("/runtime/rollouts", operation_id="list_fleet_rollouts", dependencies=[allow("user")])
async def list_fleet_rollouts(request: Request, limit: Page = 20, offset: Offset = 0) -> JSONResponse:
    return JSONResponse(Views(engine_of(request)).rollouts(limit, offset))


@router.get("/runtime/rollouts/{rollout_id}", operation_id="get_rollout", dependencies=[allow("user")])
async def get_rollout(request: Request, rollout_id: UUID) -> JSONResponse:
    engine = engine_of(request)
    return JSONResponse(Views(engine).rollout_detail(orders.find_rollout(engine, str(rollout_id))))


@router.post(
    "/runtime/rollouts/{rollout_id}/cancel", operation_id="cancel_rollout", dependencies=[allow("tenant_admin")]
)
async def cancel_rollout(request: Request, rollout_id: UUID, force: bool = False) -> JSONResponse:
    engine = engine_of(request)
    rollout = orders.find_rollout(engine, str(rollout_id))
    orders.cancel(engine, rollout, force)
    return JSONResponse(Views(engine).bare(rollout))


@router.post("/runtime/rollouts/{rollout_id}/pause", operation_id="pause_rollout", dependencies=[allow("tenant_admin")])
async def pause_rollout(request: Request, rollout_id: UUID) -> JSONResponse:
    engine = engine_of(request)
    rollout = orders.find_rollout(engine, str(rollout_id))
    orders.pause(engine, rollout)
    return JSONResponse(Views(engine).bare(rollout))


@router.post(
    "/runtime/rollouts/{rollout_id}/resume", operation_id="resume_rollout", dependencies=[allow("tenant_admin")]
)
async def resume_rollout(request: Request, rollout_id: UUID) -> JSONResponse:
    engine = engine_of(request)
    rollout = orders.find_rollout(engine, str(rollout_id))
    orders.resume(engine, rollout)
    return JSONResponse(Views(engine).bare(rollout))


@router.post(
    "/runtime/rollouts/{rollout_id}/targets/{target_id}/retry",
    operation_id="retry_rollout_target",
    dependencies=[allow("tenant_admin")],
)
async def retry_rollout_target(request: Request, rollout_id: UUID, target_id: UUID) -> JSONResponse:
    engine = engine_of(request)
    rollout = orders.find_rollout(engine, str(rollout_id))
    orders.retry(engine, rollout, str(target_id))
    return JSONResponse(Views(engine).bare(rollout))


@router.get("/updates/policy", operation_id="get_fleet_update_policy", dependencies=[allow("user")])
async def get_fleet_update_policy(request: Request) -> JSONResponse:
    return JSONResponse(engine_of(request).policy.values)


@router.patch("/updates/policy", operation_id="set_fleet_update_policy", dependencies=[allow("tenant_admin")])
async def set_fleet_update_policy(request: Request, body: FleetPolicyPatch) -> JSONResponse:
    engine = engine_of(request)
    patch: dict[str, Any] = body.model_dump(exclude_unset=True)
    engine.policy.change(patch)
    engine.advance_to(engine.now)
    return JSONResponse(engine.policy.values)
