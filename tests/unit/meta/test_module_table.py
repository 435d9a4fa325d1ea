# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every endpoint has a module that is tested with it, and every module has a row in the table of all modules."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import ENDPOINTS
from tests.integration.module_table import TABLE, module_of
from tests.integration.module_task import operation_of

ROOT = Path(__file__).resolve().parents[3]
MODULES = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}


def test_every_module_has_a_row_and_every_row_a_module() -> None:
    # tests/integration/test_every_module.py runs each row: twice, in check mode, with each fault.
    assert {module_of(case) for case in TABLE} == MODULES


def test_every_endpoint_is_called_by_a_module() -> None:
    served = frozenset().union(*(row.serves for row in TABLE.values()))
    assert served == {endpoint.number for endpoint in ENDPOINTS.values()}


def test_only_rows_of_modules_that_write_list_a_write() -> None:
    named = {write for row in TABLE.values() for write in row.writes}
    assert named == {endpoint.name for endpoint in ENDPOINTS.values() if endpoint.writes}
    assert [case for case, row in TABLE.items() if module_of(case).endswith("_info") and row.writes] == []


def test_an_instance_module_is_tested_with_an_unknown_instance() -> None:
    on_instance = {case for case in TABLE if module_of(case) in MODULES and operation_of(module_of(case)).on_instance}
    assert {case for case in on_instance if TABLE[case].unknown != "instance_id"} == set()
