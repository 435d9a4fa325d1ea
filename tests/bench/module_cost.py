# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: the CPU seconds of one API call per instance, with our module and with ansible.builtin.uri.

    .venv/bin/python tests/bench/module_cost.py [--instances 200] [--rounds 2]

Both plays alternately read the health of the same hosts with the same number of forks. The exit code is 1 if uri takes
less than 5 times the CPU seconds of our module (minimum of the rounds).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 5.0

MODULE = """
- name: Call with our module
  hosts: all
  gather_facts: false
  connection: local
  tasks:
    - name: Read the health
      fleetops.agents.instance_health_info:
        instance_id: "{{ fleetops_instance_id }}"
"""

URI = """
- name: The same call with ansible.builtin.uri
  hosts: all
  gather_facts: false
  connection: local
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: Read the health
      ansible.builtin.uri:
        url: "{{ lookup('env', 'FLEETOPS_API_URL') }}/v1/instances/{{ fleetops_instance_id }}/health/deep"
        headers:
          X-Api-Key: "{{ lookup('env', 'FLEETOPS_API_KEY') }}"
        return_content: true
"""

NOTHING = """
- name: No call
  hosts: all
  gather_facts: false
  connection: local
  tasks:
    - name: Print a variable
      ansible.builtin.debug:
        msg: "{{ fleetops_instance_id }}"
"""


def play(playbook: Path, inventory: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Run ansible-playbook. Returns its CPU seconds, including child processes, and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(playbook), "--forks", "10"],
        env={**os.environ, **environment, "ANSIBLE_STDOUT_CALLBACK": "minimal"},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"ansible-playbook ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.simulator.running import running_simulator

    least: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name, running_simulator(instances=arguments.instances) as sim:
        folder = Path(name)
        inventory = folder / "hosts.ini"
        inventory.write_text(
            "".join(f"host-{n:04d} fleetops_instance_id={i}\n" for n, i in enumerate(sim.instance_ids))
        )
        for _round in range(arguments.rounds):
            for label, text in (("nothing (debug)", NOTHING), ("our module", MODULE), ("ansible.builtin.uri", URI)):
                playbook = folder / "play.yml"
                playbook.write_text(text)
                measured = play(playbook, inventory, sim.environment())
                least[label] = min(measured, least.get(label, measured))
        calls = len(sim.journal(operation_id="get_deep_health"))
    assert calls == 2 * arguments.rounds * arguments.instances, f"{calls} calls were made"
    print(f"{arguments.instances} instances, one call each, minimum of {arguments.rounds} rounds")
    print(f"{'':24}{'CPU s':>10}{'wall s':>10}")
    for label, (cpu, wall) in least.items():
        print(f"{label:24}{cpu:10.2f}{wall:10.2f}")
    ratio = least["ansible.builtin.uri"][0] / least["our module"][0]
    print(f"uri / our module: {ratio:.1f} times the CPU seconds in total (goal: at least {LIMIT:.0f})")
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
