# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route needs from its request: the simulated world, the role of the key, and the client's address."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request

from tests.simulator.auth import demand
from tests.simulator.engine import Engine
from tests.simulator.world import World


def world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


def engine_of(request: Request) -> Engine:
    return world_of(request).engine


def client_ip(request: Request) -> str | None:
    return request.client.host if request.client else None


class Allow:
    """`allow("admin")` is a route's dependency. It runs before the validation, so 401 and 403 take priority."""

    def __call__(self, least: str) -> Any:
        async def gate(request: Request) -> None:
            self.check(request, least)

        return Depends(gate)

    @staticmethod
    def check(request: Request, least: str) -> None:
        demand(request.scope.get("simulator_role"), least)


allow = Allow()
