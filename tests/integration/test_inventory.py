# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin as ansible-inventory runs it, against the simulator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, CHECKOUT
from tests.integration.inventory_values import plain
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

# The programs of another ansible-core, if its folder is given: which text is not run as a template depends on it.
CORE = Path(os.environ.get("TEST_ANSIBLE_BIN", BIN))


@dataclass
class Listing:
    """The outcome of ``ansible-inventory --list``: exit code, groups with their hosts, host variables, messages."""

    rc: int
    groups: dict[str, list[str]]
    hostvars: dict[str, dict[str, Any]]
    messages: str

    def says(self, text: str) -> bool:
        """Whether the messages contain the text. Older cores break lines within words, so blanks are ignored."""
        return "".join(text.split()) in "".join(self.messages.split())

    @property
    def hosts(self) -> list[str]:
        return self.groups.get("fleetops_instances", [])


Lister = Callable[..., Listing]


@pytest.fixture
def list_fleet(tmp_path: Path, playbook_environment: Callable[[Simulator], dict[str, str]]) -> Lister:
    """Lists a fleet with the given options in the inventory file; ``env`` adds to the environment."""

    def run(
        sim: Simulator, env: dict[str, str] | None = None, arguments: tuple[str, ...] = (), **options: Any
    ) -> Listing:
        source = tmp_path / "test.fleet.yml"
        source.write_text(json.dumps({"plugin": "fleetops.agents.fleet", **options}))
        done = subprocess.run(
            [str(CORE / "ansible-inventory"), "-i", str(source), "--list", *arguments],
            cwd=CHECKOUT,
            env={**playbook_environment(sim), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        listing = json.loads(done.stdout) if done.returncode == 0 else {}
        hostvars = listing.pop("_meta", {}).get("hostvars", {})
        return Listing(
            done.returncode,
            {name: entry["hosts"] for name, entry in listing.items() if "hosts" in entry},
            {host: {k: plain(v) for k, v in variables.items()} for host, variables in hostvars.items()},
            done.stderr,
        )

    return run


def roll(sim: Simulator) -> None:
    """Run a fleet rollout to its end."""
    status, answer = sim.call("POST", "/v1/instances/fleet/runtime/rollout")
    assert status in (200, 202), answer
    for _minute in range(60):
        sim.advance(60)
        if sim.in_flight()["now"] == 0 and sim.state()["rollouts"][-1]["status"] not in ("pending", "in_progress"):
            return
    raise AssertionError("the rollout did not end")


def hostnames(sim: Simulator) -> list[str]:
    return sorted(row["hostname"] for row in sim.state()["instances"])


def test_the_inventory_lists_the_whole_fleet_with_variables_and_groups(
    simulator: Simulator, list_fleet: Lister
) -> None:
    simulator.knobs(outcomes={"agent-002": "failed"})
    roll(simulator)
    listing = list_fleet(simulator, enrich=["updates", "health"])
    assert listing.hosts == hostnames(simulator)
    truth = {row["hostname"]: row for row in simulator.state()["instances"]}
    newest = simulator.state()["newest_runtime"]
    for host, variables in listing.hostvars.items():
        assert variables["fleetops_instance_id"] == truth[host]["id"]
        assert variables["fleetops_hostname"] == host
        assert variables["fleetops_runtime_version"] == truth[host]["runtime"]
        assert variables["fleetops_available_version"] == newest
        assert variables["fleetops_update_available"] is (truth[host]["runtime"] != newest)
        assert variables["fleetops_gone"] is False
        assert variables["fleetops_last_rollout_id"] == simulator.state()["rollouts"][-1]["id"]
        assert set(variables) == {f"fleetops_{name}" for name in VARIABLES}
    failed = simulator.instance("agent-002")["hostname"]
    others = [host for host in listing.hosts if host != failed]
    assert listing.groups["fleetops_status_failed"] == [failed]
    assert listing.groups["fleetops_status_succeeded"] == others
    assert listing.groups["fleetops_last_result_failed"] == [failed]
    assert listing.groups["fleetops_update_available"] == [failed]
    (bundle,) = {variables["fleetops_bundle_hash"] for host, variables in listing.hostvars.items() if host != failed}
    assert listing.groups["fleetops_bundle_" + bundle.partition(":")[2][:12]] == others
    assert sorted(h for name, hosts in listing.groups.items() if "_health_" in name for h in hosts) == listing.hosts
    assert simulator.writes()[1:] == []


VARIABLES = (
    *("instance_id", "hostname", "status", "last_result", "bundle_hash", "last_rollout_id", "last_completed_at"),
    *("gone", "update_available", "runtime_version", "available_version", "health"),
)


def test_many_rollouts_of_single_instances_do_not_hide_the_fleet(simulator: Simulator, list_fleet: Lister) -> None:
    simulator.knobs(insert_rollouts=240)
    simulator.clear_journal()
    listing = list_fleet(simulator, rollouts=1, instance_rollouts=4)
    assert listing.hosts == hostnames(simulator)
    read = [row["operation_id"] for row in simulator.journal()]
    # 240 rows come before the newest fleet rollout; five rollouts are read, with two calls each.
    assert read.count("get_rollout") == read.count("get_rollout_timeline") == 5
    assert read.count("list_fleet_rollouts") <= 4
    newest = simulator.state()["rollouts"][-4:]
    assert {row["id"] for row in newest} & {v["fleetops_last_rollout_id"] for v in listing.hostvars.values()}


def test_without_a_fleet_rollout_the_fleet_is_read_from_the_rollouts_of_single_instances(
    list_fleet: Lister,
) -> None:
    with running_simulator(instances=3, speed=40.0, arguments=("--no-history",)) as sim:
        empty = list_fleet(sim)
        assert empty.rc != 0
        assert empty.says("no instance was found in the history of rollouts. Name the instances under instances:")
        for iid in sim.instance_ids[:2]:
            sim.call("POST", f"/v1/instances/{iid}/runtime/redeploy")
        sim.advance(300)
        assert list_fleet(sim).hosts == hostnames(sim)[:2]
        short = list_fleet(sim, instance_rollouts=1)
        assert short.rc != 0
        assert short.says("only 1 of 2 rollouts of single instances")
        third = sim.state()["instances"][2]
        named = list_fleet(sim, env={"FLEETOPS_INVENTORY_INSTANCES": json.dumps({"third": third["id"]})})
        assert named.hosts == [*hostnames(sim)[:2], "third"]
        assert named.hostvars["third"]["fleetops_instance_id"] == third["id"]
        assert named.hostvars["third"]["fleetops_status"] is None


def test_an_unreadable_part_of_the_fleet_is_an_error_that_names_it(simulator: Simulator, list_fleet: Lister) -> None:
    newest = [row for row in simulator.state()["rollouts"] if row["scope"] == "fleet"][-1]["id"]
    simulator.fault(match=f"GET .*{newest}/timeline", status=500, detail="the archive is closed")
    refused = list_fleet(simulator, env={"FLEETOPS_RETRIES": "0"}, enrich=["updates"])
    assert refused.rc != 0
    assert simulator.journal(operation_id="get_available_updates") == []
    assert refused.says(f"timeline of rollout {newest}: GET /v1/instances/fleet/runtime-rollouts/{newest}/timeline")
    assert refused.says("the archive is closed")
    assert refused.says("No host was added")

    warned = list_fleet(simulator, env={"FLEETOPS_RETRIES": "0", "FLEETOPS_INVENTORY_ON_PARTIAL": "warn"})
    assert warned.rc == 0
    assert warned.hosts == hostnames(simulator)
    assert warned.messages.count("[WARNING]") == 1
    assert warned.says("incomplete: it has only 6 hosts")
    assert warned.says(newest)


def test_of_many_unreadable_parts_five_are_named(simulator: Simulator, list_fleet: Lister) -> None:
    simulator.fault(operation="get_available_updates", status=503, detail="busy")
    refused = list_fleet(simulator, env={"FLEETOPS_RETRIES": "0"}, enrich=["updates"])
    assert refused.rc != 0
    assert refused.says("; and 1 more")
    assert refused.says("updates of instance ")


def test_a_wrong_key_is_tried_once_and_reported(simulator: Simulator, list_fleet: Lister) -> None:
    simulator.clear_journal()
    refused = list_fleet(simulator, env={"FLEETOPS_API_KEY": "not-the-key"})
    assert refused.rc != 0
    assert refused.says("HTTP 401")
    assert refused.says("Check api_key (FLEETOPS_API_KEY)")
    assert not refused.says("Traceback")
    assert not refused.says("not-the-key")
    assert len(simulator.journal()) == 1


def test_a_key_that_expires_during_the_listing_is_not_tried_for_each_instance(
    simulator: Simulator, list_fleet: Lister
) -> None:
    simulator.fault(operation="get_available_updates", status=401, detail="expired")
    simulator.clear_journal()
    refused = list_fleet(simulator, enrich=["updates"], workers=1)
    assert refused.rc != 0
    assert refused.says("expired")
    assert refused.says("5 further calls not made after that")
    assert len(simulator.journal(operation_id="get_available_updates")) == 1


def test_a_deleted_instance_is_kept_and_marked_as_gone(simulator: Simulator, list_fleet: Lister) -> None:
    simulator.knobs(gone=["agent-004"])
    listing = list_fleet(simulator, enrich=["updates"])
    gone = simulator.instance("agent-004")["hostname"]
    assert listing.groups["fleetops_gone"] == [gone]
    assert gone in listing.hosts
    assert listing.hostvars[gone]["fleetops_update_available"] is None


def test_instances_can_be_given_in_the_file_and_named_by_their_id(simulator: Simulator, list_fleet: Lister) -> None:
    first, *_dummy = simulator.state()["instances"]
    instances = {"primary": {"instance_id": first["id"], "owner": "{{ 'lab' | upper }}"}}
    listing = list_fleet(simulator, instances=instances)
    assert listing.hosts == sorted([*hostnames(simulator)[1:], "primary"])
    assert listing.hostvars["primary"]["fleetops_hostname"] == first["hostname"]
    assert listing.hostvars["primary"]["owner"] == "{{ 'lab' | upper }}"
    by_id = list_fleet(simulator, hostname="id")
    assert by_id.hosts == sorted(simulator.instance_ids)
    clash = list_fleet(simulator, instances={hostnames(simulator)[1]: "another-id"})
    assert clash.rc != 0
    assert clash.says(f"{hostnames(simulator)[1]} is another-id in the option instances")


def test_a_cached_inventory_needs_no_server_and_contains_no_key(
    simulator: Simulator,
    list_fleet: Lister,
    tmp_path: Path,
    playbook_environment: Callable[[Simulator], dict[str, str]],
) -> None:
    cache = tmp_path / "cache"
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(cache)}
    cold = list_fleet(simulator, enrich=["updates"], **cached)
    simulator.clear_journal()
    warm = list_fleet(simulator, enrich=["updates"], **cached)
    assert simulator.journal() == []
    assert (warm.groups, warm.hostvars) == (cold.groups, cold.hostvars)
    (record,) = cache.iterdir()
    assert simulator.admin_key not in record.name + record.read_text()

    # Other options, another key, or a damaged cache cause a new read.
    list_fleet(simulator, rollouts=1, **cached)
    assert simulator.journal() != []
    assert list_fleet(simulator, env={"FLEETOPS_API_KEY": "not-the-key"}, enrich=["updates"], **cached).rc != 0
    for damage in ("{", "[1]"):
        simulator.clear_journal()
        record.write_text(damage)
        damaged = list_fleet(simulator, enrich=["updates"], **cached)
        assert damaged.rc == 0 and damaged.hostvars == cold.hostvars, damaged.messages
        assert simulator.journal() != [] and damaged.says("cache cannot be read, so the fleet is read from the server")
    simulator.clear_journal()
    play = tmp_path / "play.yml"
    play.write_text('[{"hosts": "all"}]')
    subprocess.run(
        [CORE / "ansible-playbook", "-i", tmp_path / "test.fleet.yml", play, "--list-hosts", "--flush-cache"],
        env=playbook_environment(simulator),
        capture_output=True,
        check=True,
    )
    assert simulator.journal() != []


def test_an_incomplete_listing_is_not_cached(simulator: Simulator, list_fleet: Lister, tmp_path: Path) -> None:
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    simulator.fault(operation="get_rollout", status=404, times=1)
    assert list_fleet(simulator, on_partial="warn", **cached).rc == 0
    assert list((tmp_path / "cache").iterdir()) == []


def test_text_of_the_server_is_never_run_as_a_template(
    simulator: Simulator,
    list_fleet: Lister,
    tmp_path: Path,
    playbook_environment: Callable[[Simulator], dict[str, str]],
) -> None:
    mark = tmp_path / "pwned"
    hostile = f"{{{{ lookup('pipe', 'echo pwned > {mark}') }}}}"
    simulator.knobs(new=[hostile])
    roll(simulator)
    short = simulator.state()["instances"][-1]["id"][:8]
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    for _cold_then_warm in range(2):
        listing = list_fleet(simulator, **cached)
        assert listing.hosts[-1] == f"instance-{short}"
        assert listing.hostvars[f"instance-{short}"]["fleetops_hostname"] == hostile
    play = tmp_path / "show.yml"
    play.write_text(
        json.dumps(
            [
                {
                    "hosts": f"instance-{short}",
                    "gather_facts": False,
                    "connection": "local",
                    "tasks": [{"ansible.builtin.debug": {"msg": "told: {{ fleetops_hostname }}"}}],
                }
            ]
        )
    )
    done = subprocess.run(
        [str(CORE / "ansible-playbook"), "-i", str(tmp_path / "test.fleet.yml"), str(play)],
        env=playbook_environment(simulator),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "told: {{ lookup(" in done.stdout
    assert not mark.exists()


def test_constructed_variables_and_groups_are_added_and_their_errors_fail_unless_strict_is_off(
    simulator: Simulator, list_fleet: Lister
) -> None:
    listing = list_fleet(
        simulator,
        compose={"region": "fleetops_hostname.split('.')[1]"},
        groups={"first": "fleetops_hostname.startswith('agent-001')", "old": "fleetops_runtime_version == '1'"},
        keyed_groups=[{"key": "region", "prefix": "region"}],
    )
    assert listing.says("read fleetops_runtime_version, which it has only with the option enrich.")
    assert listing.groups["first"] == hostnames(simulator)[:1]
    assert {g for g in listing.groups if g.startswith("region_")} == {
        f"region_{name.split('.')[1]}" for name in hostnames(simulator)
    }
    refused = list_fleet(simulator, compose={"region": "not_there.at_all"})
    assert refused.rc != 0
    assert refused.says("Could not set region")
    assert list_fleet(simulator, compose={"region": "not_there.at_all"}, strict=False).rc == 0


def test_templates_in_the_inventory_file_use_extra_variables(simulator: Simulator, list_fleet: Lister) -> None:
    nothing = {"FLEETOPS_API_URL": "", "FLEETOPS_API_KEY": ""}
    listing = list_fleet(
        simulator,
        env={**nothing, "OTHER_NAME": simulator.admin_key},
        arguments=("-e", f"where={simulator.url}"),
        api_url="{{ where }}",
        api_key="{{ lookup('ansible.builtin.env', 'OTHER_NAME') }}",
    )
    assert listing.hosts == hostnames(simulator)
    extra = ("-e", f"fleetops_api_url={simulator.url}", "-e", f"fleetops_api_key={simulator.admin_key}")
    environment = {"FLEETOPS_API_URL": "http://127.0.0.1:9", "FLEETOPS_API_KEY": "none"}
    assert list_fleet(simulator, env=environment, arguments=extra).hosts == hostnames(simulator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollouts": -1}, "rollouts must be 0 or more"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"enrich": ["colour"]}, "enrich"),
        ({"on_partial": "maybe"}, "on_partial"),
        ({"instances": "{"}, "instances is not valid JSON"),
        ({"instances": '{"web": "4f0c", "web": "5f0c"}'}, "web is there twice"),
        ({"keyed_groups": ["fleetops_status"], "strict": False}, "must be a mapping with a key, unlike"),
        ({"keyed_groups": [{"prefix": "status"}], "strict": False}, "must be a mapping with a key, unlike"),
        (
            {"instances": {"web1": "4f0c"}, "groups": {"web1": "true"}},
            "create the group web1, but a host has this name",
        ),
        ({"compose": {"a": "fleetops_health | no_such_filter"}}, "No filter named 'no_such_filter'"),
        ({"api_url": "fleet.example.com"}, "api_url must look like https://"),
        ({"api_url": "http://127.0.0.1:9"}, "no connection"),
    ],
)
def test_invalid_options_are_refused_with_a_sentence(
    simulator: Simulator, list_fleet: Lister, options: dict[str, Any], message: str
) -> None:
    refused = list_fleet(simulator, env={"FLEETOPS_RETRIES": "0"}, **options)
    assert refused.rc != 0
    assert refused.says(message)
    assert not refused.says("Traceback")
