# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookups in the serial of a play and the throttle of a task, in real ansible-playbook runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN
from tests.integration.module_task import put_to_rest
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

# The programs of another ansible-core, if its folder is given.
CORE = Path(os.environ.get("TEST_ANSIBLE_BIN", BIN))
SEVEN = "h1,h2,h3,h4,h5,h6,h7"

Environment = Callable[[Simulator], dict[str, str]]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    with running_simulator(instances=6, speed=40.0) as sim:
        yield sim


@pytest.fixture
def simulator(fleet: Simulator) -> Simulator:
    """The fleet of this file with every setting restored: a lookup only reads the policy."""
    put_to_rest(fleet)
    return fleet


@pytest.fixture
def play(tmp_path: Path, playbook_environment: Environment) -> Callable[..., subprocess.Popen[str]]:
    """Starts ansible-playbook with one play over plain hosts; ``keywords`` are the play's."""

    def run(
        sim: Simulator, keywords: dict[str, Any], *arguments: str, hosts: str = SEVEN, env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        book = tmp_path / "play.yml"
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "connection": "local", **keywords}]))
        return subprocess.Popen(
            [str(CORE / "ansible-playbook"), "-i", hosts + ",", str(book), *arguments],
            env={**playbook_environment(sim), "ANSIBLE_INVENTORY_ENABLED": "host_list", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


@pytest.fixture
def batches(play: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, list[int], str]]:
    """Runs a play with ``serial``. Returns the exit code, the sizes of the batches, and the output."""

    def run(sim: Simulator, serial: str, *arguments: str, **options: Any) -> tuple[int, list[int], str]:
        show = {"ansible.builtin.debug": {"msg": "BATCH=[{{ ansible_play_batch | length }}]"}, "run_once": True}
        process = play(sim, {"serial": serial, "tasks": [show]}, *arguments, **options)
        output, _dummy = process.communicate(timeout=120)
        return process.returncode, [int(size) for size in re.findall(r"BATCH=\[(\d+)\]", output)], output

    return run


Batches = Callable[..., tuple[int, list[int], str]]


@pytest.mark.parametrize(
    ("policy", "options", "sizes"),
    [
        (2, "", [1, 2, 2, 2]),
        (3, "canary=0", [3, 3, 1]),
        (4, "growth='doubling'", [1, 2, 4]),
        (50, "batch_max=3", [1, 3, 3]),
        (2, "canary=5", [2, 2, 2, 1]),
        (9, "growth='percent', percent=45, of=7", [1, 3, 3]),
        (2, "growth='percent', percent='90', of='7', canary=0", [2, 2, 2, 1]),
    ],
)
def test_serial_follows_the_policy(
    simulator: Simulator, batches: Batches, policy: int, options: str, sizes: list[int]
) -> None:
    simulator.knobs(policy={"max_parallel_rollouts": policy})
    tail = f", {options}" if options else ""
    rc, seen, output = batches(simulator, f"{{{{ query('fleetops.agents.batches'{tail}) }}}}")
    assert (rc, seen) == (0, sizes), output


def test_batches_respect_limit_check_mode_extra_variables_and_the_environment(
    simulator: Simulator, batches: Batches
) -> None:
    serial = "{{ query('fleetops.agents.batches') }}"
    assert batches(simulator, serial, "--limit", "h2,h3,h4,h5")[:2] == (0, [1, 2, 1])
    assert batches(simulator, serial, "--check")[:2] == (0, [1, 2, 2, 2])
    elsewhere = {"FLEETOPS_API_URL": "http://127.0.0.1:9", "FLEETOPS_API_KEY": "", "FLEETOPS_BATCH_CANARY": "0"}
    extra = ("-e", f"fleetops_api_url={simulator.url}", "-e", f"fleetops_api_key={simulator.admin_key}")
    assert batches(simulator, serial, *extra, env=elsewhere)[:2] == (0, [2, 2, 2, 1])
    assert batches(simulator, serial, "-e", "fleetops_batch_max=1")[:2] == (0, [1] * 7)
    from_text = "{{ query('fleetops.agents.batches', canary=canary) }}"
    assert batches(simulator, from_text, "-e", "canary=2")[:2] == (0, [2, 2, 2, 1])
    assert simulator.writes() == []


@pytest.mark.parametrize(
    ("serial", "message"),
    [
        ("{{ query('fleetops.agents.batches') }}", "rollouts are switched off"),
        ("{{ lookup('fleetops.agents.update_policy', 'max_parallel_rollouts') }}", "rollouts are switched off"),
        ("{{ lookup('fleetops.agents.update_policy').max_parallel_rollouts }}", "rollouts are switched off"),
        ("{{ query('fleetops.agents.batches', canary=-1) }}", "canary must be a whole number of 0 or more, it is -1"),
        ("{{ query('fleetops.agents.batches', growth='wild') }}", "growth"),
        ("{{ query('fleetops.agents.batches', growth='percent') }}", "growth=percent needs of"),
        ("{{ query('fleetops.agents.batches', percent=101) }}", "percent must be 100 or less, it is 101"),
        ("{{ query('fleetops.agents.batches', 2) }}", "takes options only"),
        ("{{ lookup('fleetops.agents.update_policy', 'max_parallel') }}", "it has maintenance_window_end_hour_utc"),
    ],
)
def test_an_invalid_policy_or_option_runs_no_host(
    simulator: Simulator, batches: Batches, serial: str, message: str
) -> None:
    simulator.knobs(policy={"max_parallel_rollouts": 0})
    rc, seen, output = batches(simulator, serial)
    assert rc != 0
    assert seen == []
    assert "".join(message.split()) in "".join(output.split())
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("env", "fault", "message"),
    [
        ({"FLEETOPS_API_URL": "http://127.0.0.1:9"}, None, "Check api_url (FLEETOPS_API_URL)"),
        ({"FLEETOPS_API_KEY": "not-the-key"}, None, "Check api_key (FLEETOPS_API_KEY)"),
        ({"FLEETOPS_API_URL": ""}, None, "api_url"),
        ({"FLEETOPS_RETRIES": "0", "FLEETOPS_REQUEST_TIMEOUT": "0.2"}, {"latency_s": 1.0}, "no answer within the time"),
        ({}, {"status": 500, "detail": "the shelf fell over"}, "the shelf fell over"),
    ],
)
def test_an_unreadable_policy_runs_no_host(
    simulator: Simulator, batches: Batches, env: dict[str, str], fault: dict[str, Any] | None, message: str
) -> None:
    if fault:
        simulator.fault(operation="get_fleet_update_policy", **fault)
    rc, seen, output = batches(simulator, "{{ query('fleetops.agents.batches') }}", env=env)
    assert rc != 0
    assert seen == []
    assert "".join(message.split()) in "".join(output.split())
    assert "not-the-key" not in output


def test_a_task_can_use_the_values_of_the_policy(
    simulator: Simulator, play: Callable[..., subprocess.Popen[str]]
) -> None:
    policy = "lookup('fleetops.agents.update_policy'"
    process = play(
        simulator,
        {
            "tasks": [
                {
                    "ansible.builtin.assert": {
                        "that": [
                            f"{policy}, 'max_parallel_rollouts') == 2",
                            f"{policy}, 'max_parallel_rollouts', 'runtime_default') == [2, 'notify']",
                            f"{policy}).skills_default == 'notify'",
                        ]
                    }
                }
            ]
        },
        hosts="h1",
    )
    output, _dummy = process.communicate(timeout=60)
    assert process.returncode == 0, output


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        ("'fleetops.agents.given', {'x': 1}, playbok={'x': 2}", "playbok is not an option of this plugin"),
        ("'fleetops.agents.given', {'x': 1}, playbook='x'", "playbook must be a mapping"),
        ("'fleetops.agents.play_hosts', 'all', refusl=true", "refusl is not an option of this plugin"),
        ("'fleetops.agents.plan_order', wave=['h1']", "wave is not an option of this plugin (but waves is)"),
        ("'fleetops.agents.plan_order', 'h1'", "takes options only"),
        ("'fleetops.agents.run_state', 'audits', sinc='2026-11-23'", "sinc is not an option of this plugin"),
    ],
)
def test_a_lookup_refuses_what_it_would_not_use(
    simulator: Simulator, play: Callable[..., subprocess.Popen[str]], lookup: str, message: str
) -> None:
    task = {"ansible.builtin.debug": {"msg": f"{{{{ lookup({lookup}) }}}}"}}
    process = play(simulator, {"tasks": [task]}, hosts="h1")
    output, _dummy = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "".join(message.split()) in "".join(output.split())


def test_the_options_of_the_lookup_given_are_converted(
    simulator: Simulator, play: Callable[..., subprocess.Popen[str]]
) -> None:
    given = "lookup('fleetops.agents.given', {'since': '', 'limit': 5}, times='since', problem='false')"
    that = f"{given} == {{'since': '2026-11-23', 'limit': 7}}"
    variables = {"since": "2026-11-23", "limit": "7"}
    process = play(simulator, {"tasks": [{"ansible.builtin.assert": {"that": that}}], "vars": variables}, hosts="h1")
    output, _dummy = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_a_play_has_the_hosts_of_all_patterns(simulator: Simulator, play: Callable[..., subprocess.Popen[str]]) -> None:
    several = "{{ lookup('fleetops.agents.play_hosts', 'h1', 'h3') }}"
    process = play(simulator, {"hosts": several, "tasks": [{"ansible.builtin.debug": {"msg": "HOST"}}]})
    output, _dummy = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert sorted(re.findall(r"ok: \[(h\d)\]", output)) == ["h1", "h3"]


def test_throttle_follows_a_policy_that_is_lowered_during_the_task(
    simulator: Simulator, play: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Four at a time, then the policy is set to one: running tasks finish, and then only one runs at a time."""
    simulator.knobs(policy={"max_parallel_rollouts": 4})
    marks = tmp_path / "marks"
    marks.touch()
    stamp = "echo $(date +%s.%N)"
    hosts = ",".join(f"h{n:02d}" for n in range(1, 17))
    process = play(
        simulator,
        {
            "tasks": [
                {
                    "ansible.builtin.raw": f"{stamp} start >> {marks}; sleep 1; {stamp} end >> {marks}",
                    "throttle": "{{ lookup('fleetops.agents.update_policy', 'max_parallel_rollouts') }}",
                }
            ]
        },
        "--forks=20",
        hosts=hosts,
    )
    deadline = time.monotonic() + 60
    while marks.read_text().count("start") < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    status, policy = simulator.call("PATCH", "/v1/instances/fleet/updates/policy", {"max_parallel_rollouts": 1})
    lowered = time.time()
    assert status == 200, policy
    output, _dummy = process.communicate(timeout=120)
    assert process.returncode == 0, output

    running, most_before, most_after, starts_after = 0, 0, 0, 0
    # The lookup caches for 2 s, and the running tasks must finish.
    settled = lowered + 4.5
    for line in sorted(marks.read_text().splitlines()):
        moment, what = line.split()
        running += 1 if what == "start" else -1
        if what == "start" and float(moment) < lowered:
            most_before = max(most_before, running)
        if what == "start" and float(moment) > settled:
            starts_after += 1
            most_after = max(most_after, running)
    assert most_before == 4
    assert starts_after >= 3
    assert most_after == 1
