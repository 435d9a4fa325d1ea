# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control routes under /_sim/, with which tests inspect and change the simulator. They need no key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse

from tests.simulator.clock import iso
from tests.simulator.faults import read_plan
from tests.simulator.refusal import Refused
from tests.simulator.session import world_of

router = APIRouter(prefix="/_sim")
Document = dict[str, Any]


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    return JSONResponse({"ready": True, "now": world_of(request).catch_up()})


@router.get("/journal")
@router.get("/requests")
async def journal(request: Request) -> JSONResponse:
    try:
        return JSONResponse(world_of(request).journal.select(dict(request.query_params)))
    except ValueError as problem:
        raise Refused(422, f"since must be an integer: {problem}") from problem


@router.post("/journal/clear")
async def clear_journal(request: Request) -> JSONResponse:
    world_of(request).journal.clear()
    return JSONResponse({"cleared": True})


@router.post("/advance")
async def advance(request: Request, document: Document) -> JSONResponse:
    """{"seconds": virtual seconds}"""
    world = world_of(request)
    try:
        world.clock.advance(float(document["seconds"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise Refused(422, f"seconds must be a number that is not negative: {problem}") from problem
    now = world.catch_up()
    return JSONResponse({"now": now, "time": iso(now)})


@router.put("/knobs")
async def set_knobs(request: Request, document: Document) -> JSONResponse:
    """Accepts the JSON object that README.md describes."""
    world = world_of(request)
    world.catch_up()
    try:
        world.configure(document)
    except (AttributeError, TypeError, ValueError) as problem:
        raise Refused(422, str(problem)) from problem
    return JSONResponse({"knobs": asdict(world.knobs), "clock_speed": world.clock.speed})


@router.get("/knobs")
async def get_knobs(request: Request) -> JSONResponse:
    world = world_of(request)
    return JSONResponse({"knobs": asdict(world.knobs), "clock_speed": world.clock.speed})


@router.post("/faults")
async def add_faults(request: Request, document: Any = Body()) -> JSONResponse:  # noqa: B008
    """Appends one fault plan or a list of fault plans."""
    world = world_of(request)
    try:
        plans = [read_plan(plan) for plan in (document if isinstance(document, list) else [document])]
    except (TypeError, ValueError) as problem:
        raise Refused(422, str(problem)) from problem
    world.faults.plans += plans
    return JSONResponse({"plans": [asdict(plan) for plan in world.faults.plans]})


@router.get("/faults")
async def get_faults(request: Request) -> JSONResponse:
    return JSONResponse({"plans": [asdict(plan) for plan in world_of(request).faults.plans]})


@router.delete("/faults")
async def drop_faults(request: Request) -> JSONResponse:
    world_of(request).faults.plans.clear()
    return JSONResponse({"plans": []})


@router.get("/in_flight")
async def in_flight(request: Request) -> JSONResponse:
    """The number of targets in progress, recorded at every start and end; `violations` are starts above the limit."""
    world = world_of(request)
    world.catch_up()
    log = world.engine.in_flight_log
    return JSONResponse(
        {
            "now": world.engine.in_flight,
            "maximum": max((entry.in_progress for entry in log if entry.event == "start"), default=0),
            "violations": [entry._asdict() for entry in log if entry.violation],
            "history": [entry._asdict() for entry in log],
        }
    )


@router.get("/state")
async def state(request: Request) -> JSONResponse:
    """The actual state of the fleet, which the API does not report."""
    world = world_of(request)
    now = world.catch_up()
    engine = world.engine
    return JSONResponse(
        {
            "now": now,
            "time": iso(now),
            "started": engine.started,
            "clock_speed": world.clock.speed,
            "seed": world.seed,
            "in_flight": engine.in_flight,
            "newest_runtime": engine.catalogue.runtime,
            "policy": engine.policy.values,
            "rollouts": [
                {"id": rollout.id, "scope": rollout.scope, "status": rollout.status, "total": rollout.total}
                for rollout in engine.rollouts.values()
            ],
            "instances": [
                {
                    "index": instance.index,
                    "id": instance.id,
                    "hostname": instance.hostname,
                    "state": instance.state,
                    "disease": instance.disease,
                    "runtime": instance.runtime,
                    "attempts": instance.attempts,
                    "process_boot": instance.process_boot,
                    "host_boot": instance.host_boot,
                }
                for instance in engine.fleet
            ],
        }
    )
