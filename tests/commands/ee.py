# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last step of `make ee`: check that the collection works in an environment that contains nothing else.

``python -m tests.commands.ee BIN COLLECTIONS [TARBALL]``: BIN is the folder of an environment's commands, COLLECTIONS
the folder into which the collection was installed. With TARBALL, ansible-galaxy then installs it in the environment and
the README's commands are run; pip adds the requirements of the console. Only the simulator comes from this checkout. If
something does not work, the error and the output are printed, and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import readme
from tests.integration.module_table import HOST, TABLE, module_of
from tests.simulator.running import Simulator, running_simulator

# The plugin types: the name in ansible-doc and the folder.
PLUGINS = {"module": "modules", "inventory": "inventory", "lookup": "lookup", "callback": "callback", "test": "test"}

INSTALLED = """
from importlib.metadata import distributions
print(", ".join(sorted((f"{found.name} {found.version}" for found in distributions()), key=str.lower)))
"""


class Broken(Exception):
    """Something does not work in the environment. The message contains the output."""


class Environment:
    """The commands of an environment, isolated from this checkout and from the settings of the user."""

    def __init__(self, commands: Path, collections: Path, home: Path) -> None:
        self.commands = commands
        self.collection = collections / "ansible_collections" / "fleetops" / "agents"
        self.home = home
        hidden = ("ANSIBLE_", "FLEETOPS_", "SIM_", "PYTHON", "VIRTUAL_ENV")
        self.variables = {name: text for name, text in os.environ.items() if not name.startswith(hidden)} | {
            "PATH": f"{commands}:/usr/bin:/bin",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
            "ANSIBLE_CALLBACKS_ENABLED": "fleetops.agents.run_log",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
            "ANSIBLE_NOCOLOR": "true",
            "FLEETOPS_RUN_LOG_DIR": str(home / "runs"),
        }

    def run(self, command: str, *arguments: str | Path, ends: tuple[int, ...] = (0,)) -> str:
        """Run a command of the environment and return its output. Raises Broken if its exit code is not in ``ends``."""
        done = subprocess.run(
            [str(self.commands / command), *map(str, arguments)],
            cwd=self.home, env=self.variables, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode not in ends:
            raise Broken(f"{command} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def documented(here: Environment) -> int:
    """Check that ansible-doc finds every plugin. Returns their number."""
    count = 0
    for kind, folder in PLUGINS.items():
        names = {f"fleetops.agents.{file.stem}" for file in (here.collection / "plugins" / folder).glob("*.py")}
        found = json.loads(here.run("ansible-doc", "--json", "--type", kind, *sorted(names)))
        if not names or set(found) != names:
            raise Broken(f"ansible-doc finds these {kind} plugins: {sorted(found)}. There are {sorted(names)}.")
        count += len(names)
    return count


def module_tasks(sim: Simulator) -> Iterator[dict[str, Any]]:
    """A task for each module. Modules that write run in check mode."""
    for case, row in TABLE.items():
        if case != module_of(case):
            continue
        options = row.options(sim)
        if row.unknown == "instance_id":
            options["instance_id"] = sim.instance(HOST)["id"]
        yield {"name": case, f"fleetops.agents.{case}": options, "check_mode": bool(row.writes)}


def other_tasks(sim: Simulator) -> Iterator[dict[str, Any]]:
    """A task for the lookups and tests, a module that runs in its own process, and a call that gets no connection."""
    policy = "lookup('fleetops.agents.update_policy')"
    yield {
        "name": "lookups and tests",
        "ansible.builtin.assert": {
            "that": [
                "query('fleetops.agents.batches', of=6) | min >= 1",
                f"{policy}.max_parallel_rollouts >= 1",
                f"'2026-11-24T12:00:00Z' is fleetops.agents.in_maintenance_window({policy}) in [true, false]",
            ]
        },
    }
    yield {
        "name": "an ordinary module",
        "fleetops.agents.instance_health_info": {"instance_id": sim.instance(HOST)["id"]},
        "environment": {"LC_ALL": "C.UTF-8"},
    }
    yield {
        "name": "no server",
        "fleetops.agents.instance_health_info": {
            "instance_id": sim.instance(HOST)["id"],
            "api_url": "http://127.0.0.1:9",
            "retries": 0,
        },
        "register": "failure",
        "failed_when": "'no connection' not in failure.msg",
    }


def play(here: Environment, name: str, tasks: list[dict[str, Any]]) -> None:
    """Run a playbook with these tasks on localhost. JSON is valid YAML."""
    playbook = here.home / f"{name}.yml"
    plays = [{"name": name, "hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]
    playbook.write_text(json.dumps(plays, default=str))
    here.run(
        "ansible-playbook", "-i", "localhost,", "-e", "ansible_python_interpreter={{ansible_playbook_python}}", playbook
    )


def as_awx_writes(here: Environment, **answers: str) -> str:
    """Write the answers of a survey to a file as AWX does. Returns the argument for ``-e``."""
    file = here.home / "extravars"
    file.write_text("".join(f"!unsafe '{name}': !unsafe '{answer}'\n" for name, answer in answers.items()))
    return f"@{file}"


def answers(here: Environment, sim: Simulator, inventory: Path) -> int:
    """Check that playbooks accept the answers of a survey, or refuse them with a reason. Returns the number of runs."""
    runs: list[tuple[str, dict[str, str], tuple[str, ...], tuple[int, ...]]] = [
        ("audit_report", {"fleetops_audit_since": "2026-11-23", "fleetops_audit_limit": ""}, (), (0,)),
        ("memory_backup", {"fleetops_memory_customer_id": '"0012345"', "fleetops_memory_dir": "backup"}, (), (0,)),
        # ansible-core up to 2.18 reads it as a string, later versions as a number, which is refused.
        ("memory_backup", {"fleetops_memory_customer_id": "0012345", "fleetops_memory_dir": "backup"}, (), (0, 2)),
        (
            "rolling_redeploy",
            {"fleetops_batch_max": "", "fleetops_soak": "", "fleetops_growth": ""},
            ("--check",),
            (0,),
        ),
        ("power_cycle", {"fleetops_hosts": "agnet-*"}, (), (2,)),
        ("recover", {"fleetops_hosts": "agnet-*"}, ("--limit", "agent-001*"), (1, 4)),
    ]
    sim.clear_journal()
    for playbook, given, more, ends in runs:
        given_file = as_awx_writes(here, **given)
        output = here.run(
            "ansible-playbook", "-i", inventory, f"fleetops.agents.{playbook}", *more, "-e", given_file, ends=ends
        )
        if given.get("fleetops_hosts") and "no host matches agnet-*" not in output:
            raise Broken(f"{playbook} does not report that no host matches:\n{output}")
    asked = {row["query"].get("customer_id") for row in sim.journal() if row["path"].endswith("/memory")}
    if asked != {"0012345"} or sim.writes():
        raise Broken(f"The customer 0012345 was requested as {asked}, and {len(sim.writes())} writes were sent.")
    return len(runs)


def logged(here: Environment) -> list[str]:
    """The types of the events in the run logs, run by run."""
    files = sorted((here.home / "runs").glob("*.jsonl"), key=lambda file: file.stat().st_mtime)
    return [json.loads(line)["event"] for file in files for line in file.open()]


def check(here: Environment) -> str:
    """Run all checks against a simulator. Returns a summary."""
    version = here.run("ansible", "--version").splitlines()[0]
    packages = here.run("python", "-c", INSTALLED).strip()
    plugins = documented(here)
    playbooks = sorted(f"fleetops.agents.{file.stem}" for file in (here.collection / "playbooks").glob("*.yml"))
    here.run("ansible-playbook", "--syntax-check", "-i", "localhost,", *playbooks)

    with running_simulator(instances=3, speed=50.0) as sim:
        here.variables |= sim.environment()
        TABLE["rollout_target"].prepare(sim)
        tasks = [*module_tasks(sim), *other_tasks(sim)]
        play(here, "everything", tasks)

        inventory = here.home / "ee.fleet.yml"
        inventory.write_text("plugin: fleetops.agents.fleet\nenrich: [updates, health]\n")
        hosts = json.loads(here.run("ansible-inventory", "-i", inventory, "--list"))["fleetops_instances"]["hosts"]
        if len(hosts) != 3:
            raise Broken(f"The inventory plugin finds {hosts} of 3 instances.")

        sim.knobs(outcomes={})
        quick = json.dumps({"fleetops_state": "redeployed", "fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1})
        here.run("ansible-playbook", "-i", inventory, "fleetops.agents.rolling_redeploy", "-e", quick)
        redeploys = len(sim.journal(operation_id="redeploy_runtime"))
        events = logged(here)
        asked = answers(here, sim, inventory)

    if events.count("playbook_on_stats") != 2 or redeploys != 3:
        raise Broken(f"The run logs of two runs contain {events}, and {redeploys} redeploys were sent.")
    return (
        f"{version}, with {packages}: {plugins} plugins are documented, {len(tasks)} tasks ran, {len(playbooks)} "
        f"playbooks parse, rolling_redeploy sent {redeploys} redeploys, {len(events)} events were logged, "
        f"{asked} runs with answers of a survey."
    )


def installed(here: Environment, tarball: Path) -> str:
    """Run the commands of the README, including the console, with the installed tarball. Returns a summary."""
    here.run("python", "-m", "ensurepip", "--default-pip")
    # The README sets the paths and the server itself.
    own = ("ANSIBLE_", "FLEETOPS_", "SIM_")
    variables = {name: text for name, text in here.variables.items() if not name.startswith(own)}
    with running_simulator(instances=readme.INSTANCES, speed=50.0) as sim:
        return readme.run(tarball, sim, here.home / "user", variables)


def main() -> int:
    commands, collections, *tarballs = (Path(argument).resolve() for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as home:
        try:
            here = Environment(commands, collections, Path(home))
            print(check(here))
            for tarball in tarballs:
                print(f"In the same environment: {installed(here, tarball)}.")
        except (Broken, readme.Broken) as broken:
            print(f"In {commands}: {broken}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
