# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the event source as ansible-rulebook does: load its file by path and call main() with a queue.

``python -m tests.eda.following FILE`` runs the source with SOURCE_ARGUMENTS and appends each event to FILE.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.simulator.running import Simulator

CHECKOUT = Path(__file__).resolve().parents[2]
EXTENSION = CHECKOUT / "extensions" / "eda"
SOURCE = EXTENSION / "plugins" / "event_source" / "fleet.py"
source = runpy.run_path(str(SOURCE))

Event = dict[str, Any]


class Rules(asyncio.Queue[Event]):
    """A queue that keeps its events. ``die_at``: (n, "before" or "after") the n-th put, where it raises Killed."""

    def __init__(self, die_at: tuple[int, str] | None = None) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._puts, self._die_at = 0, die_at

    async def put(self, item: Event) -> None:
        self._puts += 1
        if (self._puts, "before") == self._die_at:
            raise Killed
        self.events.append(json.loads(json.dumps(item)))
        if (self._puts, "after") == self._die_at:
            raise Killed

    def types(self) -> list[str]:
        return [event["type"].removeprefix("fleetops.") for event in self.events]


class Killed(BaseException):
    """The process was killed: no code of the source runs after this."""


def arguments(sim: Simulator, watermark: Path, **more: Any) -> dict[str, Any]:
    quick = {"interval": 0.1, "instance_interval": 0.01, "max_rate": 5000}
    return {"api_url": sim.url, "api_key": sim.keys["user"], "watermark": str(watermark), **quick, **more}


@asynccontextmanager
async def following(args: dict[str, Any], rules: Rules) -> AsyncIterator[asyncio.Task[None]]:
    """Run the source until the block ends. An exception of the source is raised then."""
    task = asyncio.create_task(source["main"](rules, args))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(task: asyncio.Task[None], condition: Callable[[], Any], seconds: float = 180) -> None:
    """Wait for the condition while the source runs."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        if task.done():
            await task
        assert asyncio.get_running_loop().time() < end, "the condition was not met in time"
        await asyncio.sleep(0.03)


async def full_poll(task: asyncio.Task[None], sim: Simulator) -> None:
    """Wait for the end of a complete poll that begins after this call."""
    last = max((row["seq"] for row in sim.journal(path="/fleet/")), default=0)
    # The second list of rollouts is read when all events of the first poll have been sent.
    await until(task, lambda: len(sim.journal(operation_id="list_fleet_rollouts", since=last)) >= 2)


class _ToFile:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def put(self, item: Event) -> None:
        os.write(self._file, (json.dumps(item) + "\n").encode())


if __name__ == "__main__":
    asyncio.run(source["main"](_ToFile(sys.argv[1]), json.loads(os.environ["SOURCE_ARGUMENTS"])))
