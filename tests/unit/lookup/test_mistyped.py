# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory variables with mistyped names."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.discovery import Instance
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.mistyped import names_in_inventory, warning_of
from tests.conftest import CHECKOUT


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fleetops_batchmax", "fleetops_batch_max"),
        ("fleetops_canary_host", "fleetops_canary_hosts"),
        ("fleetops_max_parallel", "fleetops_max_parallel_rollouts"),
        ("fleetops_soaks", "fleetops_soak"),
        ("fleetops_api_urls", "fleetops_api_url"),
        # Known variables, and variables of the user.
        ("fleetops_soak", ""),
        ("fleetops_hosts", ""),
        ("fleetops_team", ""),
        ("fleetops_region", ""),
        ("fleetops_customer", ""),
        ("fleetops_owner", ""),
        ("fleetops_environment", ""),
        # Internal variables of the playbooks, and variables of hosts.
        ("fleetops_run", ""),
        ("fleetops_asked", ""),
        ("fleetops_report_asked", ""),
        *((f"fleetops_{field}", "") for field in Instance._fields),
        ("inventory_hostname", ""),
    ],
)
def test_a_name_that_resembles_a_known_one_causes_a_warning(name: str, meant: str) -> None:
    expected = f"The run sets variables that no playbook of fleetops.agents reads: {name} (did you mean {meant}?)."
    found = warning_of("The run", [name], CHECKOUT)
    assert found == (expected if meant else "")


def test_a_name_that_every_playbook_sets_itself_causes_a_warning() -> None:
    found = warning_of("The inventory", ["fleetops_plan_for", "fleetops_soak"], CHECKOUT)
    assert found.endswith("reads: fleetops_plan_for (each playbook sets it itself).")


def test_several_mistyped_names_are_one_line_and_without_any_nothing_is_read() -> None:
    found = warning_of("It", ["fleetops_soaks", "fleetops_batchmax", "fleetops_soaks"], CHECKOUT)
    assert found.endswith(
        "reads: fleetops_batchmax (did you mean fleetops_batch_max?), fleetops_soaks (did you mean fleetops_soak?)."
    )
    assert warning_of("It", ["fleetops_instance_id"], Path("/nowhere")) == ""


def test_the_variables_of_the_first_host_and_all_groups_are_read_but_of_no_other_host(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    for folder in ("group_vars", "host_vars"):
        (inventory / folder).mkdir(parents=True)
    (inventory / "hosts").write_text(
        "[eu]\na fleetops_inline=1\nb fleetops_other=1\n[empty]\n[locked]\nb\n[eu:vars]\nfleetops_of_group=1\n"
    )
    (inventory / "group_vars" / "all.yml").write_text("fleetops_of_all: 1\nother: 1\n")
    (inventory / "group_vars" / "empty.yml").write_text("fleetops_of_empty: 1\n")
    # A group that Ansible would not read for this host.
    (inventory / "group_vars" / "locked.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (inventory / "host_vars" / "a.yml").write_text("fleetops_of_host: 1\n")
    (inventory / "host_vars" / "b.yml").write_text("fleetops_of_b: 1\n")
    loader = DataLoader()
    loader.set_basedir(str(tmp_path))
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "eu.yml").write_text("fleetops_beside_playbook: 1\n")
    found = names_in_inventory(InventoryManager(loader=loader, sources=[str(inventory)]), loader, "a")
    assert {name.removeprefix("fleetops_") for name in found} == {
        "inline", "of_group", "of_all", "of_empty", "of_host", "beside_playbook",
    }  # fmt: skip
