# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Null values, other spellings and values that are not text in an inventory; a failed inventory never exits with 0.

The tests use no ansible.cfg, like a user of the installed collection.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, CHECKOUT
from tests.integration.inventory_values import plain
from tests.second_api.api import SecondApi, second_api

pytestmark = pytest.mark.playbook

CORE = Path(os.environ.get("TEST_ANSIBLE_BIN", BIN))
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program of Ansible against a second API, with an empty HOME and no configuration."""

    def runs(api: SecondApi, program: str, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_"))}
        place = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "FLEETOPS_RETRIES": "0"}
        return subprocess.run(
            [str(CORE / program), *map(str, arguments)],
            cwd=tmp_path,
            env={**kept, **place, **api.environment(), "ANSIBLE_DEPRECATION_WARNINGS": "false", **env},
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    return runs


def listed(run: Run, api: SecondApi, tmp_path: Path, text: str = "", /, **options: Any) -> dict[str, Any]:
    """The output of ansible-inventory, which must succeed: the hosts of each group, and ``hostvars``."""
    source = tmp_path / "a.fleet.yml"
    source.write_text(
        "plugin: fleetops.agents.fleet\n" + text + "".join(f"{k}: {json.dumps(v)}\n" for k, v in options.items())
    )
    done = run(api, "ansible-inventory", "-i", source, "--list")
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    hostvars = {host: {k: plain(v) for k, v in row.items()} for host, row in listing["_meta"]["hostvars"].items()}
    return {"hostvars": hostvars} | {k: v["hosts"] for k, v in listing.items() if "hosts" in v}


def refusal(run: Run, api: SecondApi, tmp_path: Path, text: str) -> str:
    """The message of ansible-inventory, which must fail. Without blanks: older cores break lines within words."""
    source = tmp_path / "a.fleet.yml"
    source.write_text("plugin: fleetops.agents.fleet\n" + text)
    done = run(api, "ansible-inventory", "-i", source, "--list")
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return "".join(done.stderr.split())


# reports/2026-11 A3


def test_a_null_absent_or_empty_value_adds_a_host_to_no_group(run: Run, tmp_path: Path) -> None:
    with second_api(instances=3) as api:
        api.instances[0].version = None
        api.instances[1].version = ""
        of_file = {
            "agent-x": {"instance_id": api.instances[2].id, "team": "lab", "tags": {"tier": "gold", "none": None}}
        }
        listing = listed(
            run, api, tmp_path, enrich=["updates"], instances=of_file,
            compose={"major": "fleetops_runtime_version.split('.')[0]", "squad": "team | upper"},
            groups={"modern": "fleetops_runtime_version is version('1.0', '>=')", "labs": "team == 'lab'"},
            keyed_groups=[
                {"key": "fleetops_runtime_version", "prefix": "runtime"},
                {"key": "fleetops_runtime_version", "prefix": "known", "default_value": "no"},
                {"key": "[fleetops_status, fleetops_runtime_version]", "prefix": "both"},
                {"key": "major", "prefix": "major"},
                {"key": "team", "prefix": "team"},
                {"key": "tags.tier", "prefix": "tier"},
                {"key": "tags", "prefix": "tag"},
                # Documented variables that were not requested.
                {"key": "fleetops_health", "prefix": "health"},
            ],
        )  # fmt: skip
        assert listing["fleetops_instances"] == ["agent-001", "agent-002", "agent-x"]
        made = {
            name: hosts for name, hosts in listing.items() if not name.startswith("fleetops_") and name != "hostvars"
        }
        assert made == {
            "runtime_1_0_0": ["agent-x"],
            "known_1_0_0": ["agent-x"],
            "known_no": ["agent-001", "agent-002"],
            "both_succeeded": ["agent-001", "agent-002", "agent-x"],
            "both_1_0_0": ["agent-x"],
            "major_1": ["agent-x"],
            "team_lab": ["agent-x"],
            "tier_gold": ["agent-x"],
            "tag_tier_gold": ["agent-x"],
            "modern": ["agent-x"],
            "labs": ["agent-x"],
        }
        assert listing["hostvars"]["agent-001"]["major"] is None
        assert listing["hostvars"]["agent-x"]["major"] == "1"


def test_a_variable_that_no_host_has_is_an_error(run: Run, tmp_path: Path) -> None:
    with second_api(instances=2) as api:
        assert "runtime_versoin" in refusal(run, api, tmp_path, "keyed_groups: [{key: runtime_versoin}]\n")
        message = refusal(run, api, tmp_path, "groups: {a: \"fleetops_hostname.startwith('a')\"}\n")
        assert "startwith" in message


def test_a_failed_inventory_does_not_exit_with_0_without_any_configuration(run: Run, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text('[{"hosts": "all", "gather_facts": false, "tasks": [{"ansible.builtin.debug": {"msg": "ran"}}]}]')
    source = tmp_path / "a.fleet.yml"
    with second_api(instances=2, status={"list_fleet_rollouts": 500}) as api:
        source.write_text("plugin: fleetops.agents.fleet\n")
        for program, arguments in (
            ("ansible-inventory", ["--list"]),
            ("ansible-playbook", [play]),
            ("ansible", ["all"]),
        ):
            done = run(api, program, "-i", source, *arguments)
            assert done.returncode not in (0, None), (program, done.stdout)
            assert "list_fleet_rollouts answers with an error" in " ".join(done.stderr.split())
        source.write_text("plugin: fleetops.agents.fleet\nenrich: colour\n")
        assert run(api, "ansible-inventory", "-i", source, "--list").returncode != 0
        # In a folder beside a readable inventory, it is still a smaller fleet than requested.
        (tmp_path / "hosts").mkdir()
        source.rename(tmp_path / "hosts" / "a.fleet.yml")
        (tmp_path / "hosts" / "b.yml").write_text("all: {hosts: {other: }}\n")
        assert run(api, "ansible-playbook", "-i", tmp_path / "hosts", play).returncode != 0
        # The user configured Ansible to continue.
        explicit = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "false"}
        assert run(api, "ansible-playbook", "-i", tmp_path / "hosts", play, **explicit).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffplugin: 'fleetops.agents.fleet'  # of the collection\n",
        "{plugin: fleetops.agents.fleet}\n",
        '# The fleet.\n---\n{\n  "hostname": !unsafe "name",\n  "plugin": "fleetops.agents.fleet"\n}\n',
    ],
)
def test_an_inventory_file_of_any_name_is_read_if_it_names_the_plugin(run: Run, tmp_path: Path, text: str) -> None:
    """Otherwise Ansible would only warn, continue without hosts and exit with 0."""
    hosts = tmp_path / "hosts"
    hosts.mkdir()
    (hosts / "fleet.yaml").write_text(text)
    (hosts / "other.yml").write_text("all: {hosts: {other: {note: 'plugin: fleetops.agents.fleet'}}}\n")
    with second_api(instances=2) as api:
        for plugins in ("auto,yaml", "fleetops.agents.fleet,yaml"):
            done = run(api, "ansible-inventory", "-i", hosts, "--list", ANSIBLE_INVENTORY_ENABLED=plugins)
            assert done.returncode == 0, done.stderr
            listing = json.loads(done.stdout)
            assert len(listing["fleetops_instances"]["hosts"]) == 2 and "other" in listing["_meta"]["hostvars"]


# reports/2026-11 B1


@pytest.mark.parametrize(
    ("instances", "named"),
    [
        ("{agent-001: 0755}", "agent-001"),
        ("{a: {instance_id: 020222070707}}", "a"),
        ("{a: 20222070707}", "a"),
        ("{a: 1.5}", "a"),
        ("{a: 2026-11-23}", "a"),
        ("{a: yes}", "a"),
        ("{a: {instance_id: no}}", "a"),
        ("{a: [x]}", "a"),
        ("{0755: some-id}", "493"),
    ],
)
def test_an_id_that_yaml_did_not_parse_as_text_is_refused(run: Run, tmp_path: Path, instances: str, named: str) -> None:
    with second_api(instances=1) as api:
        message = refusal(run, api, tmp_path, f"instances: {instances}\nrollouts: 0\ninstance_rollouts: 0\n")
        # Quotes would not make a text of a list.
        assert ("butitisthelist" if "[" in instances else "Writeitinquotes") in message and named in message
        assert api.calls == []


def test_quoted_ids_are_hosts_and_keep_their_leading_zeros(run: Run, tmp_path: Path) -> None:
    with second_api(instances=0) as api:
        text = "instances: {a: '0755', b: {instance_id: \"020222070707\"}}\nrollouts: 0\ninstance_rollouts: 0\n"
        listing = listed(run, api, tmp_path, text)
        assert [listing["hostvars"][name]["fleetops_instance_id"] for name in "ab"] == ["0755", "020222070707"]


# reports/2026-11 B7


def test_an_instance_is_one_host_in_any_spelling_of_its_id(run: Run, tmp_path: Path) -> None:
    with second_api(instances=2, spell_id={"get_rollout_timeline": str.upper}) as api:
        first, second = api.instances
        listing = listed(run, api, tmp_path, instances={"mine-0": first.id.upper()}, enrich=["updates"])
        assert listing["fleetops_instances"] == ["agent-002", "mine-0"]
        assert listing["hostvars"]["mine-0"]["fleetops_instance_id"] == first.id
        assert listing["hostvars"]["agent-002"]["fleetops_instance_id"] == second.id
        assert {call["instance"] for call in api.called("get_available_updates")} == {first.id, second.id}
        twice = f"instances: {{a: {first.id}, b: {first.id.upper()}}}\n"
        assert "aandbarethesameinstance" in refusal(run, api, tmp_path, twice)


def test_a_host_that_two_inventory_files_map_to_different_instances_is_refused(run: Run, tmp_path: Path) -> None:
    own = '{{plugin: fleetops.agents.fleet, rollouts: 0, instance_rollouts: 0, instances: {{agent-001: "{}"}}}}'
    sources = [flag for name in ("us.fleet.yml", "eu.fleet.yml") for flag in ("-i", tmp_path / name)]
    with second_api(instances=0) as api:
        (tmp_path / "us.fleet.yml").write_text(own.format("one"))
        (tmp_path / "eu.fleet.yml").write_text(own.format("other"))
        done = run(api, "ansible-inventory", *sources, "--list")
        assert done.returncode != 0, done.stdout
        message = " ".join(done.stderr.split())
        for words in ("eu.fleet.yml", "agent-001 is instance one in an inventory that was read before", "other",
                      "hostname: id"):  # fmt: skip
            assert words in message
        (tmp_path / "eu.fleet.yml").write_text(own.format("one"))
        assert run(api, "ansible-inventory", *sources, "--list").returncode == 0


# reports/2026-11 C8


@pytest.mark.parametrize("config", ["demo", "production.example"])
def test_playbooks_that_need_no_inventory_run_with_the_shipped_configuration(
    run: Run, tmp_path: Path, config: str
) -> None:
    shipped = {"ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / config / "ansible.cfg")}
    with second_api(instances=2) as api:
        for playbook in ("update_policy", "fleet_rollout"):
            done = run(api, "ansible-playbook", f"fleetops.agents.{playbook}", "--check", **shipped)
            assert done.returncode == 0, done.stdout + done.stderr
        # An inventory that was given explicitly and cannot be read still stops the run.
        done = run(api, "ansible-playbook", "fleetops.agents.update_policy", "-i", "not-there", "--check", **shipped)
        assert done.returncode != 0
