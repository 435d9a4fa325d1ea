# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Update policies of instances and the declared state, on the list of instances and on the page of an instance."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from console.collect.api.records import update_rows
from console.record.read import declared, instances
from console.record.rows import Cursor, RunRows
from console.record.write.store import open_store
from tests.console.support.page import opened, words
from tests.console.support.seeded import TENANT, host_name, ident, seed_small
from tests.console.support.seeded_instances import put

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
INHERITS = {"runtime": "notify", "runtime_source": "tenant_default", "runtime_override": None}
# From a server that does not list overrides: the source of the mode shows them.
BY_SOURCE = {"skills": "disabled", "skills_source": "instance_override"}
REPORT: dict[str, Any] = {
    "in_sync": False,
    "tenant": {"max_parallel_rollouts": {"wanted": 6, "is": 4}},
    "instances": {
        host_name(1): {"runtime": {"wanted": "inherit", "is": "auto"}},
        host_name(3): {"skills": {"wanted": "<b>auto</b>", "is": "inherit"}},
    },
    "undeclared": {},
    "behind": {},
    "unmanaged": [],
    "unknown": {"instances": ["agent-99999.old"], "groups": []},
    "gone": [],
}


def fleet_state(number: int, at: float, report: Any) -> RunRows:
    stats = {declared.STAT: {"check_mode": True, "failed": {}, "problem": "", "report": report}}
    run = {"run_id": ident(number, 0xF1), "source": "callback", "source_ref": f"{number}", "status": "successful",
           "started_at": at - 5, "ended_at": at, "playbook": "fleet_state.yml", "check_mode": 1,
           "stats_json": json.dumps(stats, separators=(",", ":"))}  # fmt: skip
    return RunRows(run=run)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("declared")
    path = folder / "console.db"
    seed_small(path, folder / "runs", NOW)
    policies = [INHERITS, {**INHERITS, "runtime": "auto", "runtime_override": "auto"}, {**INHERITS, **BY_SOURCE}]
    with open_store(path) as store:
        for number, policy in enumerate(policies):
            record = {"runtime": None, "skills": [], "mcp_servers": [], "update_policy": policy}
            put(store, "updates", number, update_rows(TENANT, ident(number, 0xB0), record, NOW), NOW)
        # The second to last run was refused, and the last one compared only a part of the fleet.
        reports = ((NOW - 9000, {"in_sync": True}, None), (NOW - 3600, REPORT, None), (NOW - 1800, {}, None),
                   (NOW - 900, {"in_sync": True, "instances": {}}, "agent-00001*"))  # fmt: skip
        for number, (at, report, limit) in enumerate(reports):
            rows = fleet_state(number, at, report)
            rows.run["limit_pattern"] = limit
            store.put_run(rows, Cursor("spool", f"{number}", position=1), after=None)
    return path


def test_the_list_shows_instances_with_a_policy_of_their_own_and_those_that_differ_from_the_declared_state(
    compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = words(opened(monkeypatch, compared, "instances"))
    assert "Instances with their own update policy: 2 of 3 instances ." in text
    assert "Declared state: 2 instances differ , and so does the tenant's policy ( fleet_state, check" in text
    for line in (
        "Tenant: max_parallel_rollouts is 4, should be 6.",
        f"Differs (1): runtime is auto, should be inherit: {host_name(1)}",
        "Unknown instances, named in the state only (1): agent-99999.old",
    ):
        assert line in text
    # Some hosts have two instances, one of which was replaced.
    lines = text[text.index("health host open problem") :].splitlines()
    rows = {name: "\n".join(line for line in lines if f" {name} " in line) for name in map(host_name, range(5))}
    assert "runtime auto ± differs declared: runtime inherit" in rows[host_name(1)]
    assert "skills disabled" in rows[host_name(2)] and "differs" not in rows[host_name(2)]
    assert "inherits" in rows[host_name(0)]
    assert "not read ± differs declared: skills <b>auto</b>" in rows[host_name(3)]

    for only, hosts in (("Overrides the policy", (1, 2)), ("Differs from declared", (1, 3))):
        text = words(opened(monkeypatch, compared, "instances", instances_only=only, instances_sort="Host"))
        assert [host_name(n) for n in range(24) if f" {host_name(n)} " in text] == [host_name(n) for n in hosts]


def test_the_page_of_an_instance_shows_its_own_policy_and_its_differences(
    compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, sentences in enumerate(
        (
            ("Update policy: all inherited from the tenant.",),
            (
                "Own update policy: runtime auto, the rest inherited from the tenant.",
                "from the declared state: runtime is auto, should be inherit ( fleet_state, check",
            ),
            ("Own update policy: skills disabled",),
            ("Update policy: not read", "skills is inherit, should be <b>auto</b>"),
        )
    ):
        text = words(opened(monkeypatch, compared, "instance", id=ident(number, 0xB0)))
        assert all(sentence in text for sentence in sentences), text[:1500]
        assert ("from the declared state" in text) == (number in (1, 3))


def test_without_policies_and_reports_the_list_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_small(tmp_path / "console.db", tmp_path / "runs", NOW)
    text = words(opened(monkeypatch, tmp_path / "console.db", "instances"))
    assert "Instances with their own update policy: not read; a sync with --updates reads them." in text
    # A column without any value is left out.
    assert "updates waiting last deploy (UTC) bundle" in text
    assert "ansible-playbook fleetops.agents.fleet_state -i INVENTORY" in text
    assert declared.comparison(tmp_path / "console.db") is None
    nothing = instances.InstanceFilter(only="differs")
    assert instances.instance_page(tmp_path / "console.db", nothing)[1] == 0


def test_a_truncated_report_is_shown_as_far_as_it_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_small(tmp_path / "console.db", tmp_path / "runs", NOW)
    cut = {"instances": {host_name(1): {"skills": {"wanted": "auto", "is": "inherit"}}, host_name(2): 7}, "tenant": []}
    with open_store(tmp_path / "console.db") as store:
        store.put_run(fleet_state(1, NOW, cut), Cursor("spool", "1", position=1), after=None)
    app = opened(monkeypatch, tmp_path / "console.db", "instances")
    assert f"{host_name(1)}: skills is inherit, should be auto" in words(app)


def test_an_unreadable_policy_does_not_hide_the_others(compared: Path) -> None:
    assert declared.override_words(None) is None
    assert declared.override_words("[1]") is None
    assert declared.override_words('{"runtime_override": 5}') == ""
    assert instances.instance_tally(compared)["overriding"] == 2
    assert instances.instance_page(compared, instances.InstanceFilter(only="overrides"))[1] == 2
