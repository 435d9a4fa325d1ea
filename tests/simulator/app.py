# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The FastAPI application: the 26 routes of the API, the control routes, and refusals as {"detail": ...}."""

from __future__ import annotations

import re

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from tests.simulator import control, routes_fleet, routes_instance
from tests.simulator.refusal import Refused
from tests.simulator.wire import Wire
from tests.simulator.world import World


def build(world: World) -> Wire:
    """The ASGI application, wrapped in the layer that injects faults."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.world = world
    # `fleet` before `{instance_id}`: the paths of E10 and E26 differ only in that segment.
    for router in (routes_fleet.router, routes_instance.router, control.router):
        app.include_router(router)
    app.add_exception_handler(Refused, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(405, _not_allowed)
    return Wire(app, world, _operations())


async def _refused(_dummy: Request, refusal: Refused) -> JSONResponse:
    return JSONResponse({"detail": refusal.detail}, refusal.status, refusal.headers)


async def _not_allowed(request: Request, _dummy: Exception) -> JSONResponse:
    """Allow lists every method of the path, not only those of the first matching route."""
    allowed = sorted({method for method, pattern, _name in _operations() if pattern.match(request.url.path)})
    return JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": ", ".join(allowed)})


def _operations() -> list[tuple[str, re.Pattern[str], str]]:
    """(method, path pattern, operationId) in the order in which the routes are tried."""
    routes = [*routes_fleet.router.routes, *routes_instance.router.routes]
    return [
        (method, route.path_regex, route.operation_id or route.name)
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
