# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of several tests of the sources: a simulated AWX, and the path of a database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.support.fake_awx import FakeAwx, running_awx


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAwx]:
    with running_awx() as fake:
        yield fake


@pytest.fixture
def awx(server: FakeAwx) -> FakeAwx:
    server.know_recorded()
    return server


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "console.db"
