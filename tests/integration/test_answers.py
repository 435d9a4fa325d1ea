# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A survey's answers in the real ansible-playbook: a blank answer counts as not given, and a text stays a text.

reports/2026-11 B2, C2
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator, running_simulator
from tests.unit.meta.roles import PLAYBOOKS, ROLES, defaults, variables

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
# Variables without which a playbook does nothing.
NEEDED = {"fleetops_memory_dir": "", "fleetops_fleet_state": {"runtime_current": True}}
QUICK = {"fleetops_wait_interval": 0.2, "fleetops_healthy_reads": 1}


def as_awx_writes(path: Path, answers: dict[str, str]) -> str:
    """The argument for a file of extra variables as AWX writes it: names and texts marked as unsafe."""
    lines = [f"!unsafe '{name}': !unsafe '{answer}'\n" for name, answer in answers.items()]
    path.write_text("".join(lines))
    return f"@{path}"


def summary_of(run: PlaybookRun, sim: Simulator) -> dict[str, Any]:
    """Exit code, recap, artifacts and API calls, without the values that differ from run to run."""
    # How often the policy is read depends on the speed of the run.
    calls = sorted({f"{row['operation_id']} {row.get('query')} {row['path']}" for row in sim.journal()})
    sim.clear_journal()
    stats = [event["event_data"] for event in run.events() if event["event"] == "playbook_on_stats"]
    report = stats[-1]["artifact_data"] if stats else {}
    for path in run.run_logs.glob("*.jsonl"):
        path.unlink()
    return {"rc": run.rc, "recap": run.recap, "report": json.dumps(report, sort_keys=True), "calls": calls}


@pytest.fixture
def quiet() -> Any:
    """A fleet in which nothing happens by itself, so that two runs in check mode can be compared."""
    with running_simulator(instances=3, speed=0) as sim:
        yield sim


def test_variables_that_are_blank_or_null_count_as_not_given(
    quiet: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    """All playbooks in one command; each variable is given in one of three ways."""
    every = tmp_path / "every.yml"
    paths = [str(CHECKOUT / "playbooks" / f"{playbook}.yml") for playbook in PLAYBOOKS]
    every.write_text(json.dumps([{"ansible.builtin.import_playbook": path} for path in paths]))
    names = sorted(set().union(*map(variables, PLAYBOOKS)) - NEEDED.keys() | {"plan_hash"})
    needed = ["-e", json.dumps({**NEEDED, "fleetops_memory_dir": str(tmp_path)})]
    blank, null, of_awx = (names[place::3] for place in range(3))
    ways = {
        "not given": [],
        "not answered": [
            *(argument for name in blank for argument in ("-e", f"{name}=")),
            *("-e", json.dumps(dict.fromkeys(null))),
            *("-e", as_awx_writes(tmp_path / "extravars", dict.fromkeys(of_awx, ""))),
        ],
    }
    quiet.clear_journal()
    did = {}
    for way, arguments in ways.items():
        run = run_playbook(quiet, every, "--check", "--diff", *needed, *arguments)
        assert run.rc == 0, (way, run.output)
        did[way] = summary_of(run, quiet)
        assert did[way] == did["not given"], way


def test_a_role_uses_the_defaults_of_its_blank_variables(quiet: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    """Each role in a play of the user, with Ansible's validation of the role's arguments."""
    preflight = {"ansible.builtin.import_role": {"name": "fleetops.agents.fleet_preflight"}, "run_once": True}
    plays, blank = [], {}
    for role in ROLES:
        blank |= {name: None if place % 2 else "" for place, name in enumerate(sorted(defaults(role)))}
        show = {"msg": f"ASKED {role} {{{{ lookup('fleetops.agents.given', '{role}') | to_json }}}} END"}
        plays.append({
            "hosts": "localhost" if role == "rollout_watch" else "fleetops_instances",
            "gather_facts": False, "connection": "local", "order": "sorted",
            "tasks": [
                {"ansible.builtin.debug": show, "run_once": True},
                *([preflight] if role == "fleet_report" else []),
                {"ansible.builtin.import_role": {"name": f"fleetops.agents.{role}"}},
            ],
        })  # fmt: skip
    own = tmp_path / "own.yml"
    own.write_text(json.dumps(plays))
    run = run_playbook(quiet, own, "--check", e={**blank, **NEEDED, "fleetops_memory_dir": str(tmp_path)})
    assert run.rc == 0, run.output
    for role in ROLES:
        asked = json.loads(json.loads('"' + run.stdout.partition(f"ASKED {role} ")[2].partition(" END")[0] + '"'))
        texts = {n: value for n, value in defaults(role).items() if "{{" not in str(value) and n not in NEEDED}
        assert {name: asked[name] for name in texts} == texts, role


def test_a_blank_answer_does_not_override_the_inventory(quiet: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "fleet.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (folder / "group_vars" / "fleetops_instances.yml").write_text("fleetops_min_healthy_share: 1.0\n")
    quiet.knobs(disease={"agent-001": "process"})
    blank = {"fleetops_min_healthy_share": ""}
    run = run_playbook(quiet, "playbooks/rolling_redeploy.yml", "--check", e=blank, inventory=folder)
    assert run.rc == 2 and "2 of 3 checked instances are healthy; at least 100% must be" in run.output, run.output
    # A variable that the playbook sets for its own purpose wins over the inventory, blank or not.
    for answers in ({}, blank):
        run = run_playbook(quiet, "playbooks/power_cycle.yml", "--check", e=answers, inventory=folder)
        assert run.rc == 0, run.output
    run = run_playbook(
        quiet, "playbooks/power_cycle.yml", "--check", e={"fleetops_min_healthy_share": 1}, inventory=folder
    )
    assert run.rc == 2, run.output


def test_false_is_an_answer_and_does_not_count_as_blank(simulator: Simulator, run_playbook: Run) -> None:
    chosen = {"fleetops_only_if_unhealthy": "false", "fleetops_min_uptime": "0", "fleetops_wait_interval": "0.2"}
    run = run_playbook(simulator, "playbooks/power_cycle.yml", "--limit", "agent-001*", e=chosen)
    assert run.rc == 0, run.output
    assert [row["operation_id"] for row in simulator.writes()] == ["power_cycle"]


@pytest.mark.parametrize(
    ("playbook", "variable", "answer", "kind"),
    [
        ("memory_backup", "fleetops_memory_customer_id", "0012345", "number 5349"),
        ("memory_backup", "fleetops_memory_conversation_id", "2026-01-03", "date 2026-01-03"),
        ("memory_backup", "fleetops_memory_dir", "1234", "number 1234"),
        ("rolling_redeploy", "fleetops_override_reason", "yes", "boolean True"),
        ("rolling_redeploy", "fleetops_hosts", "007", "number 7"),
        ("fleet_rollout", "fleetops_override_reason", "12:30", "number 750"),
    ],
)
def test_a_text_that_ansible_parsed_as_another_type_is_refused_with_the_way_to_write_it(
    simulator: Simulator, run_playbook: Run, tmp_path: Path, playbook: str, variable: str, answer: str, kind: str
) -> None:
    simulator.clear_journal()
    run = run_playbook(
        simulator, f"playbooks/{playbook}.yml", "-e", as_awx_writes(tmp_path / "extravars", {variable: answer})
    )
    assert run.rc != 0, run.output
    assert f"{variable} must be text, but it is the {kind}" in " ".join(run.output.split()), run.output
    assert "type the quotes into the answer" in " ".join(run.output.split())
    assert simulator.writes() == [] and simulator.journal(operation_id="list_memory") == []


@pytest.mark.parametrize("customer", ['"0012345"', "c-0012345", "12e34567", "'0012345"])
def test_an_id_reaches_the_server_as_it_was_written(
    simulator: Simulator, run_playbook: Run, tmp_path: Path, customer: str
) -> None:
    """Written in quotes, an answer is text for every ansible-core."""
    folder = tmp_path / "backup"
    simulator.clear_journal()
    answers = {"fleetops_memory_customer_id": customer, "fleetops_memory_dir": str(folder)}
    path = tmp_path / "extravars"
    path.write_text(
        "".join(f"!unsafe '{n}': !unsafe '{text.replace(chr(39), chr(39) * 2)}'\n" for n, text in answers.items())
    )
    run = run_playbook(simulator, "playbooks/memory_backup.yml", "--limit", "agent-001*", "-e", f"@{path}")
    assert run.rc == 0, run.output
    (asked,) = [row["query"]["customer_id"] for row in simulator.journal() if "/memory" in row["path"]]
    assert asked == customer.strip('"')
    (file,) = folder.iterdir()
    assert json.loads(file.read_text())["customer_id"] == customer.strip('"')


def test_a_date_is_accepted_as_a_time_whether_ansible_parses_it_as_a_date_or_not(
    simulator: Simulator, run_playbook: Run, tmp_path: Path
) -> None:
    for since in ("2026-11-23", "2026-11-23T00:00:00Z"):
        answers = {"fleetops_audit_since": since, "fleetops_audit_dir": str(tmp_path / "audit")}
        arguments = ("-e", as_awx_writes(tmp_path / "extravars", answers))
        run = run_playbook(simulator, "playbooks/audit_report.yml", *arguments)
        assert run.rc == 0, run.output
        assert json.loads((tmp_path / "audit" / "audit.json").read_text())["since"].startswith("2026-11-23")


def test_a_reason_is_recorded_as_it_was_written(simulator: Simulator, run_playbook: Run, tmp_path: Path) -> None:
    reason = "{{ 7 * 7 }} yes, INC-0012"
    answers = {"fleetops_override_reason": reason, "fleetops_override_window": "true", "fleetops_wait_interval": "0.2"}
    arguments = ("--check", "-e", as_awx_writes(tmp_path / "extravars", answers))
    run = run_playbook(simulator, "playbooks/rolling_redeploy.yml", *arguments)
    assert run.rc == 0, run.output
    assert run.report["override_reason"] == reason


@pytest.mark.parametrize(
    ("playbook", "variable", "answer", "words"),
    [
        (
            "rolling_redeploy",
            "fleetops_state",
            "checked",
            "fleetops_state is checked: it must be latest or redeployed.",
        ),
        (
            "power_cycle",
            "fleetops_wait_timeout",
            "-1",
            "Stopped (fail): fleetops_wait_timeout is -1: it must be 0 or more.",
        ),
        ("rolling_redeploy", "fleetops_repair", "ture", "Stopped (fail): fleetops_repair is 'ture': it must be true"),
        ("rolling_redeploy", "fleetops_soak", "5m", "fleetops_soak is '5m': it must be a number."),
        ("rolling_redeploy", "plan_hash", 5349, "Stopped (fail): plan_hash must be text, but it is the number 5349"),
        ("rolling_redeploy", "fleetops_after_tasks", ["a"], "Stopped (fail): fleetops_after_tasks must be text, but"),
        ("fleet_state", "fleetops_fleet_state_prune", "2", "fleetops_fleet_state_prune is '2': it must be true or"),
        ("recover", "fleetops_recover_rungs", "rebot", "each must be breakers, power_cycle or reboot"),
        (
            "recover",
            "fleetops_recover_interval",
            "0",
            "Stopped (fail): fleetops_recover_interval is 0.0: it must be ab",
        ),
        (
            "fleet_rollout",
            "fleetops_retry_timeout",
            "-1",
            '"msg": "fleetops_retry_timeout is -1: it must be 0 or more.',
        ),
    ],
)
def test_an_invalid_answer_is_refused_before_anything_is_changed(
    simulator: Simulator, run_playbook: Run, playbook: str, variable: str, answer: object, words: str
) -> None:
    simulator.knobs(disease={"agent-001": "process"})
    run = run_playbook(simulator, f"playbooks/{playbook}.yml", e={variable: answer})
    assert run.rc != 0, run.output
    assert words in " ".join(run.output.split()), run.output
    # Ansible's words around the error of a lookup are for programmers.
    assert "The lookup plugin" not in run.output, run.output
    assert simulator.writes() == []
    # A run that was refused has no results to compare with the versions on the server: only the inventory reads them.
    reads = [row["operation_id"] for row in simulator.journal()].count("get_available_updates")
    assert reads <= len(simulator.state()["instances"])
    # reports/2026-11 B3: the run is refused, not an instance.
    assert {host for host, row in run.recap.items() if row["failed"] or row["unreachable"]} == {"localhost"}


def test_the_variables_of_a_recovery_are_checked_only_if_the_run_may_recover(
    simulator: Simulator, run_playbook: Run
) -> None:
    """They may be in group_vars that all playbooks share."""
    invalid = {"fleetops_recover_rungs": "rebot", "fleetops_recover_min_uptime": "abc"}
    run = run_playbook(simulator, "playbooks/rolling_redeploy.yml", "--check", "--limit", "agent-001*", e=invalid)
    assert run.rc == 0, run.output
    for name, value in invalid.items():
        run = run_playbook(simulator, "playbooks/rolling_redeploy.yml", e={name: value, "fleetops_repair": True})
        assert run.rc == 2 and f"Stopped (fail): {name} is" in run.output, run.output
    assert simulator.writes() == []


def test_every_playbook_declares_the_variables_that_it_reads() -> None:
    for playbook in PLAYBOOKS:
        for play in yaml.safe_load((CHECKOUT / "playbooks" / f"{playbook}.yml").read_text()):
            given = play.get("vars", {}).get("fleetops_asked")
            assert given in (None, "{{ lookup('fleetops.agents.given', fleetops_defaults) }}"), playbook
