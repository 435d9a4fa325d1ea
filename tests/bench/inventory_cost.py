# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: the fleet inventory with a warm cache, compared with a static YAML inventory of the same content.

    .venv/bin/python tests/bench/inventory_cost.py [--instances 5000] [--rounds 5]

Both are read alternately by ``ansible-inventory --list``. The exit code is 1 if the median wall time of the fleet
inventory is more than 1.5 times that of the static one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1.5


def inventory(source: Path, environment: dict[str, str]) -> tuple[float, float, dict[str, Any]]:
    """Run ``ansible-inventory --list``. Returns wall seconds, CPU seconds, and the list."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(source), "--list"],
        env={**os.environ, **environment, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"ansible-inventory ended with {done.returncode}:\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, json.loads(done.stdout)


def plain(value: Any) -> Any:
    """A value of the list without the wrapper that ansible-core puts around strings that are not templates."""
    if isinstance(value, dict):
        return (
            value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {k: plain(v) for k, v in value.items()}
        )
    return value


def contents(listing: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The variables of each host, and the sorted hosts of each group."""
    groups = {name: sorted(entry["hosts"]) for name, entry in listing.items() if name != "_meta" and entry.get("hosts")}
    return {host: plain(variables) for host, variables in listing["_meta"]["hostvars"].items()}, groups


def write_static(listing: dict[str, Any], target: Path) -> None:
    """Write the same hosts, variables and groups as a YAML inventory, with the variables of a host only once."""
    hostvars, groups = contents(listing)
    written: set[str] = set()
    children: dict[str, Any] = {}
    for group in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        children[group] = {"hosts": {host: {} if host in written else hostvars[host] for host in groups[group]}}
        written.update(groups[group])
    with target.open("w") as file:
        yaml.dump({"all": {"children": children}}, file, Dumper=yaml.CSafeDumper, sort_keys=False)


def compare(fleet: Path, static: Path, environment: dict[str, str], rounds: int) -> float:
    """Run both alternately, print the table, and return the ratio of the median wall times."""
    inventory(fleet, environment)
    inventory(static, environment)
    wall_times: dict[str, list[float]] = {"fleet": [], "static": []}
    cpus: dict[str, list[float]] = {"fleet": [], "static": []}
    for _round in range(rounds):
        for name, source in (("fleet", fleet), ("static", static)):
            wall, cpu, _listing = inventory(source, environment)
            wall_times[name].append(wall)
            cpus[name].append(cpu)
    print(f"{'':24}{'wall s':>16}{'CPU s':>16}   median (minimum - maximum)")
    for name in wall_times:
        wall, cpu = wall_times[name], cpus[name]
        print(
            f"{name:24}{statistics.median(wall):7.2f} ({min(wall):.2f} - {max(wall):.2f})"
            f"{statistics.median(cpu):9.2f} ({min(cpu):.2f} - {max(cpu):.2f})"
        )
    ratio = statistics.median(wall_times["fleet"]) / statistics.median(wall_times["static"])
    cpu_ratio = statistics.median(cpus["fleet"]) / statistics.median(cpus["static"])
    print(f"fleet / static: wall {ratio:.2f}, CPU {cpu_ratio:.2f} (limit for wall {LIMIT})")
    return ratio


def bench(url: str, key: str, rounds: int, folder: Path) -> float:
    """Fill the cache, write the static inventory, check that both have the same content, and compare them."""
    fleet, static = folder / "bench.fleet.yml", folder / "static.yml"
    fleet.write_text("plugin: fleetops.agents.fleet\n")
    environment = {
        "FLEETOPS_API_URL": url,
        "FLEETOPS_API_KEY": key,
        "ANSIBLE_INVENTORY_CACHE": "true",
        "ANSIBLE_INVENTORY_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_INVENTORY_CACHE_CONNECTION": str(folder / "cache"),
    }
    wall, cpu, listing = inventory(fleet, environment)
    write_static(listing, static)
    # With these settings a request would fail: with a warm cache there must be none.
    warm = {**environment, "FLEETOPS_REQUEST_TIMEOUT": "0.001", "FLEETOPS_RETRIES": "0"}
    _wall, _cpu, cached = inventory(fleet, warm)
    _wall, _cpu, twin = inventory(static, environment)
    if not contents(listing) == contents(cached) == contents(twin):
        raise SystemExit("the two inventories have different content, so they cannot be compared")
    print(f"{len(listing['_meta']['hostvars'])} hosts; cold cache: {wall:.2f} s wall, {cpu:.2f} s CPU")
    return compare(fleet, static, environment, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.simulator.running import running_simulator

    with tempfile.TemporaryDirectory() as folder, running_simulator(instances=arguments.instances) as simulator:
        ratio = bench(simulator.url, simulator.admin_key, arguments.rounds, Path(folder))
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
