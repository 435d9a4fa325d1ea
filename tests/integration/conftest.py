# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator for tests that run single modules: its clock stands still until a task pauses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.module_task import put_to_rest
from tests.simulator.running import Simulator, running_simulator
from tests.unit.client.crooked_server import CrookedServer, crooked_server

FIRST_PAUSE = "ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints._FIRST_PAUSE"


@pytest.fixture(scope="module")
def fleet(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A test file may set the number of instances (INSTANCES) and when the clock starts (START)."""
    start = getattr(request.module, "START", None)
    arguments = ("--start", start) if start else ()
    with running_simulator(getattr(request.module, "INSTANCES", 3), speed=0, arguments=arguments) as sim:
        yield sim


@pytest.fixture
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for the locks of admission, which tasks of other tests do not use."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def sim(fleet: Simulator, own_locks: None, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    # A retry follows at once; the pause before it is tested with the client.
    monkeypatch.setattr(FIRST_PAUSE, 0.001)
    put_to_rest(fleet)
    return fleet


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return itertools.count(3)


@pytest.fixture
def host(sim: Simulator, numbers: Iterator[int]) -> str:
    """An instance whose runtime and two skills are outdated: a new one each time, as skills are never downgraded."""
    return f"agent-{next(numbers):03d}"


@pytest.fixture(scope="module")
def crooked() -> Iterator[CrookedServer]:
    with crooked_server() as server:
        yield server
