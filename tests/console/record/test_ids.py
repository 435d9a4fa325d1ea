# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding an id by its beginning, as copied from a table."""

from __future__ import annotations

from pathlib import Path

from console.record.read.operation import whole_id
from console.record.write.store import open_store
from tests.console.support.seeded import TENANT, fleet_rollout, host_name, ident


def test_an_id_or_host_name_is_found_by_its_beginning_if_that_is_unique(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    with open_store(database) as store:
        store.put_tenant(TENANT, 1e9)
        store.put_rollouts([fleet_rollout("abcd1234-0000-4000-8000-000000000001", 3, 1, 1e9)])
    assert whole_id(database, "abcd1234", "run", "rollout") == "abcd1234-0000-4000-8000-000000000001"
    assert whole_id(database, host_name(2)[:11], "instance") == ident(2, 0xB0)
    for unclear in ("agent-0000", "abc", "no-such", "abcd1234%"):
        assert whole_id(database, unclear, "run", "rollout", "instance") is None
