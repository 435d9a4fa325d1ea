# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task whose controller was killed ends at its next pause or call, and sends nothing more."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.integration.second_task import FORK, run_second
from tests.second_api.api import SecondApi, second_api

QUICK: dict[str, Any] = {"wait_interval": 0.05}


def orphan(
    api: SecondApi, module: str, waits: Callable[[], bool], items: Sequence[dict[str, Any]] = ({},), **options: Any
) -> bool:
    """Run a task in a child of a process that is killed as soon as ``waits()``. Whether the task ends within 20 s.

    ``items``: the further options of each round of its loop.
    """
    ended, held_open = os.pipe()
    workers = FORK.Queue()

    def controller() -> None:
        worker = FORK.Process(target=lambda: [run_second(api, module, real=True, **options, **item) for item in items])
        worker.start()
        workers.put(worker.pid)
        worker.join()

    parent = FORK.Process(target=controller)
    parent.start()
    worker = workers.get(timeout=60)
    try:
        # The pipe is at its end as soon as no process holds it open.
        os.close(held_open)
        deadline = time.monotonic() + 60
        while not waits() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert waits()
        parent.kill()
        parent.join()
        return bool(select.select([ended], [], [], 20)[0])
    finally:
        os.close(ended)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_a_task_that_follows_a_redeploy_ends_with_its_controller() -> None:
    with second_api(deploy_seconds=600) as api:
        assert orphan(api, "instance_runtime", lambda: bool(api.called("redeploy_runtime")), **QUICK)
        assert api.writes() == ["redeploy_runtime"]


def test_a_task_that_waits_for_its_turn_ends_with_its_controller_and_sends_nothing() -> None:
    with second_api(deploy_seconds=600) as api:
        api.policy["max_parallel_rollouts"] = 1
        api.add_rollout(api.instances[1:2], "instance")
        assert orphan(api, "instance_runtime", lambda: bool(api.called("list_fleet_rollouts")), **QUICK)
        assert api.writes() == []


def test_a_held_run_ends_with_its_controller(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    with second_api() as api:
        batch = {"agent-001": api.instance("agent-001").id}
        options = {"next_batch": batch, "waiting": batch, "hold": str(hold), "hold_interval": 0.05}
        assert orphan(api, "rollout_gate", lambda: bool(api.called("get_deep_health")), **options)


def test_a_loop_ends_with_its_controller_and_sends_nothing_for_the_items_that_remain() -> None:
    with second_api(latency={"store_memory": 0.5}) as api:
        items = [{"content": f"fact {number}"} for number in range(4)]
        assert orphan(api, "instance_memory", lambda: bool(api.called("store_memory")), items)
        assert api.writes() == ["store_memory"]
