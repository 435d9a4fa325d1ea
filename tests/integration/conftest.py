# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator for tests that run single modules: its clock stands still until a task pauses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.module_task import put_to_rest
from tests.simulator.running import Simulator, running_simulator

FIRST_PAUSE = "ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints._FIRST_PAUSE"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    with running_simulator(instances=3, speed=0) as sim:
        yield sim


@pytest.fixture
def sim(fleet: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    # A retry follows at once; the pause before it is tested with the client.
    monkeypatch.setattr(FIRST_PAUSE, 0.001)
    put_to_rest(fleet)
    return fleet
