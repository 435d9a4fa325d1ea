# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Update policies of single instances and the declared state, on the list of instances and on an instance's page."""

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
from tests.console.support.seeded import TENANT, host_name, ident, seed_small
from tests.console.support.seeded_instances import put
from tests.console.web.test_pages import opened, words

pytestmark = pytest.mark.usefixtures("environment")

NOW = float(int(time.time()))
INHERITS = {"runtime": "notify", "runtime_source": "tenant_default", "runtime_override": None}
# Written by a server that names no overrides: the mode's source tells.
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
        # The last but one was refused, and the last one compared a part of the fleet.
        reports = ((NOW - 9000, {"in_sync": True}, None), (NOW - 3600, REPORT, None), (NOW - 1800, {}, None),
                   (NOW - 900, {"in_sync": True, "instances": {}}, "agent-00001*"))  # fmt: skip
        for number, (at, report, limit) in enumerate(reports):
            rows = fleet_state(number, at, report)
            rows.run["limit_pattern"] = limit
            store.put_run(rows, Cursor("spool", f"{number}", position=1), after=None)
    return path


def test_the_list_says_which_instances_set_a_policy_of_their_own_and_which_differ_from_the_declared_state(
    compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(monkeypatch, compared, "instances")
    assert not app.exception
    said = words(app)
    assert "Own update policy: 2 of 3 instances ." in said
    assert "Declared state: 2 instances differ , and so does the tenant's policy ( fleet_state, check" in said
    for line in (
        "Tenant: max_parallel_rollouts is 4, should be 6.",
        f"Differs (1): runtime is auto, should be inherit: {host_name(1)}",
        "Unknown instances, named in the state only (1): agent-99999.old",
    ):
        assert line in said
    # Some hosts are those of two instances, of which one was replaced.
    lines = said[said.index("health host open problem") :].splitlines()
    rows = {name: "\n".join(line for line in lines if f" {name} " in line) for name in map(host_name, range(5))}
    assert "runtime auto ± differs declared: runtime inherit" in rows[host_name(1)]
    assert "skills disabled" in rows[host_name(2)] and "differs" not in rows[host_name(2)]
    assert "inherits" in rows[host_name(0)]
    assert "not read ± differs declared: skills <b>auto</b>" in rows[host_name(3)]

    for only, hosts in (("Overrides the policy", (1, 2)), ("Differs from declared", (1, 3))):
        said = words(opened(monkeypatch, compared, "instances", instances_only=only, instances_sort="Host"))
        assert [host_name(n) for n in range(24) if f" {host_name(n)} " in said] == [host_name(n) for n in hosts]


def test_an_instance_says_what_it_sets_for_itself_and_in_what_it_differs(
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
        app = opened(monkeypatch, compared, "instance", id=ident(number, 0xB0))
        assert not app.exception
        said = words(app)
        assert all(sentence in said for sentence in sentences), said[:1500]
        assert ("from the declared state" in said) == (number in (1, 3))


def test_without_them_the_list_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_small(tmp_path / "console.db", tmp_path / "runs", NOW)
    said = words(opened(monkeypatch, tmp_path / "console.db", "instances"))
    assert "Own update policy: not read; a sync with --updates reads them. Declared state: not compared." in said
    assert "ansible-playbook fleetops.agents.fleet_state -i INVENTORY" in said
    assert declared.comparison(tmp_path / "console.db") is None
    nothing = instances.InstanceFilter(only="differs")
    assert instances.instance_page(tmp_path / "console.db", nothing)[1] == 0


def test_a_report_that_was_cut_down_is_shown_as_far_as_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_small(tmp_path / "console.db", tmp_path / "runs", NOW)
    cut = {"instances": {host_name(1): {"skills": {"wanted": "auto", "is": "inherit"}}, host_name(2): 7}, "tenant": []}
    with open_store(tmp_path / "console.db") as store:
        store.put_run(fleet_state(1, NOW, cut), Cursor("spool", "1", position=1), after=None)
    app = opened(monkeypatch, tmp_path / "console.db", "instances")
    assert not app.exception
    assert f"{host_name(1)}: skills is inherit, should be auto" in words(app)


def test_one_broken_policy_does_not_hide_the_others(compared: Path) -> None:
    assert declared.override_words(None) is None
    assert declared.override_words("[1]") is None
    assert declared.override_words('{"runtime_override": 5}') == ""
    assert instances.instance_tally(compared)["overriding"] == 2
    assert instances.instance_page(compared, instances.InstanceFilter(only="overrides"))[1] == 2
