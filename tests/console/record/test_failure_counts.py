# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The number of failed instances is the same wherever the console shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.__main__ import main
from console.notifications import read_facts
from console.notifications.rules import parse
from console.record.read.attention import attention
from console.record.read.failures_by_message import failures_by_message, hosts_with
from console.record.read.instances import history
from console.record.read.operation import operation
from console.record.read.operations import operations
from console.record.read.record_health import vitals
from console.record.read.rollouts import rollouts
from console.record.read.sql import ENDS_RUN
from console.record.rows import Cursor, to_json
from console.record.write.store import open_store
from console.text.message_fingerprint import FP_VERSION, fingerprint
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import NOW, REBOOT, SELECTED, A, B, C, put_rollout, put_run, report
from tests.console.support.seeded import REASON, TENANT, ident, rollout_read, target

pytestmark = pytest.mark.usefixtures("environment")

COMMAND, REPORT = "ansible.builtin.command", "ansible.builtin.fail"
OTHER = "https://other.example"


def result(host: str, status: str = "failed", **more: Any) -> dict[str, Any]:
    bad = status in ("failed", "unreachable", "ignored")
    prints = {"msg_fp": fingerprint(REASON, host), "fp_version": FP_VERSION} if bad else {}
    empty = {"msg_fp": None, "fp_version": None, "result_json": None, "kind": "result"}
    return {"host": host, "status": status, "msg": REASON if bad else None, **empty, **prints, **more}


def rollout(path: Path, *named: tuple[int, str], tenant: str = TENANT, number: int = 1) -> str:
    """A rollout in which the instances with these numbers and host names failed."""
    rollout_id, at = ident(number, 0x7700), NOW - 500
    targets = [
        target(n, rollout_id, "failed", at, at + 10, at + 60, error_message=REASON, instance_hostname=host,
               instance_id=ident(n, 0xB0 + number))
        for n, host in named
    ]  # fmt: skip
    read = rollout_read(rollout_id, targets, "failed", at, at + 90)
    rows = [{**row, "tenant": tenant} for row in read.targets]
    with open_store(path) as store:
        store.put_tenant(tenant, NOW)
        store.put_rollouts([replace(read, rollout={**read.rollout, "tenant": tenant}, targets=rows)])
    return rollout_id


def run(path: Path, *results: dict[str, Any], **more: Any) -> None:
    hosts = list(dict.fromkeys(one["host"] for one in results))
    put_run(path, "run", 600, **{"hosts": hosts, "status": "failed", "playbook": "own.yml", "results": results, **more})


def namesakes(path: Path) -> None:
    rollout(path, (1, A), (2, A), (3, B))


def namesakes_of_a_fleet_rollout(path: Path) -> None:
    ref = rollout(path, (1, A), (2, A), (3, B))
    told = {"rollout_id": ref, "rollout": {"total_targets": 3, "failed_targets": 3}, "verdict": "fail"}
    run(path, result("localhost"), hosts=["localhost"], playbook="fleet_rollout.yml", reported=told,
        action="fleetops.agents.rollout", links=[("rollout", ref, "localhost")])  # fmt: skip


def namesakes_of_two_tenants(path: Path) -> None:
    rollout(path, (1, A))
    rollout(path, (1, A), tenant=OTHER, number=2)


def loop(path: Path, of_loop: str = "failed", **more: Any) -> None:
    items = [result("localhost", kind="item", result_json=to_json({"instance_id": ident(n, 0xB0)})) for n in range(2)]
    links = [("instance", ident(n, 0xB0), "localhost") for n in range(2)]
    run(path, *items, result("localhost", of_loop), hosts=["localhost"], action=REBOOT, links=links, **more)


def ignored_loop(path: Path) -> None:
    # Ansible does not say of an item that its failure is ignored.
    loop(path, "ignored", recap=[{"host": "localhost", "ignored": 1}], status="successful")


def rescued(path: Path) -> None:
    run(path, result(A), result(B), recap=[{"host": A, "rescued": 1}, {"host": B, "failed": 1}], action=COMMAND)


def rescued_redeploy(path: Path) -> None:
    run(path, result(A), result(B), recap=[{"host": A, "rescued": 1}, {"host": B, "failed": 1}])


def repeated_by_the_task_and_the_report(path: Path) -> None:
    ref = rollout(path, (1, A))
    done = report("fail", failed=[A], updated=[B])
    run(path, result(A), result(A, msg=f"The redeploy of {A} failed."), reported=done, links=[("rollout", ref, A)])


def ignored(path: Path) -> None:
    run(path, result(A, "ignored"), result(B), action=COMMAND)


def ignored_redeploy(path: Path) -> None:
    run(path, result(A, "ignored"), result(C, "unreachable"), result(B),
        recap=[{"host": A, "ignored": 1}, {"host": C, "ignored": 1}, {"host": B, "failed": 1}])  # fmt: skip


def rescued_redeploy_in_a_successful_run(path: Path) -> None:
    run(path, result(A), result(B, "ok"), recap=[{"host": A, "rescued": 1}, {"host": B}], status="successful")


def rescued_look_after_a_redeploy(path: Path) -> None:
    look = result(A, task_counter=1, msg="The health cannot be read.")
    run(path, result(A, "ok", changed=1), look, result(B), recap=[{"host": A, "rescued": 1}, {"host": B, "failed": 1}])
    with open_store(path) as store, store.transaction():
        store.upsert("tasks", [{"run_id": "run", "counter": 1, "action": "fleetops.agents.instance_health_info"}])


def refused_plan(path: Path) -> None:
    run(path, result(A), recap=[{"host": A, "rescued": 1}], action="fleetops.agents.rollout_plan")


def ignored_report_file(path: Path) -> None:
    run(path, result(A, "ignored"), recap=[{"host": A, "ignored": 1}], action="fleetops.agents.report_file")


def unreachable(path: Path) -> None:
    run(path, result(A, "unreachable"), result(B, "ok"), action=COMMAND)


def with_uncertain_targets(path: Path) -> None:
    rollout(path, (1, A), (2, B), (3, C))
    with open_store(path) as store, store.transaction():
        store.conn.execute("UPDATE rollout_targets SET status = 'uncertain' WHERE hostname = ?", (C,))
        store.conn.execute("UPDATE rollouts SET failed = 2, uncertain = 1")


SCENES: list[tuple[Callable[[Path], None], int]] = [
    (namesakes, 3),
    (namesakes_of_a_fleet_rollout, 3),
    (namesakes_of_two_tenants, 2),
    (loop, 2),
    (ignored_loop, 2),
    (rescued, 1),
    (rescued_redeploy, 2),
    (repeated_by_the_task_and_the_report, 1),
    (ignored, 1),
    (ignored_redeploy, 3),
    (rescued_redeploy_in_a_successful_run, 1),
    (rescued_look_after_a_redeploy, 1),
    (refused_plan, 0),
    (ignored_report_file, 0),
    (unreachable, 1),
    (with_uncertain_targets, 3),
]


@pytest.mark.parametrize(("scene", "failed"), SCENES, ids=[scene.__name__ for scene, _failed in SCENES])
def test_the_number_of_failed_instances_is_the_same_everywhere(
    scene: Callable[[Path], None],
    failed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
    scene(path)
    listed = operations(path, NOW)[0]
    opened = [operation(path, key, NOW) for key in listed["key"]]
    facts = read_facts.facts(path, parse(SELECTED), [], NOW)
    entries = attention(path, NOW)
    entries = entries[entries["status"].isin(["failed", "uncertain"])]
    messages = failures_by_message(path)
    assert main(["operations", "--format", "json", "--db", str(path)]) == 0
    printed = json.loads(capsys.readouterr().out)
    figures = vitals(path, NOW)
    found = {
        "list of operations": int((listed["failed"] + listed["uncertain"]).sum()),
        "command operations": sum(row["failed"] + row["uncertain"] for row in printed),
        "instances of operations": sum(one.instances["category"].isin(["failed", "uncertain"]).sum() for one in opened),
        "failures of operations": sum(len(failure.hosts) for one in opened for failure in one.failures),
        "notifications": sum(fact.counts.get(word, 0) for fact in facts for word in ("failed", "uncertain")),
        "names in notifications": sum(len(fact.hosts.get(w, ())) for fact in facts for w in ("failed", "uncertain")),
        "needs attention": int(entries["instances"].sum()),
        "Failures, instances": int(messages["hosts"].sum()),
        "Failures, list": sum(len(hosts_with(path, fp)) for fp in messages["fingerprint"]),
        # It counts only targets of rollouts, as its label says.
        "check": figures.failed + figures.uncertain + (failed if not len(rollouts(path)[0]) else 0),
    }
    assert {place: number for place, number in found.items() if number != failed} == {}


def test_a_target_that_two_runs_waited_for_is_one_failure_of_the_run_that_started_it(tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
    ref, waited = put_rollout(path, 1, 580, "failed", scope="instance"), f"The redeploy of {A} failed: {REASON}"
    failed = {"host": A, "status": "failed", "msg": waited, "msg_fp": fingerprint(waited, A), "fp_version": FP_VERSION}
    own = {"hosts": [A], "status": "failed", "results": [failed]}
    put_run(path, "a run that followed", 600, links=[("rollout", ref, A, 3), ("adopted", ref, A, 3)], **own)
    put_run(path, "started", 600, links=[("rollout", ref, A, 3)], **own)
    found = failures_by_message(path)
    assert found[["failures", "targets", "results", "operations"]].to_numpy().tolist() == [[1, 1, 0, 1]]
    assert found["run_id"].tolist() == hosts_with(path, found["fingerprint"][0])["operation"].tolist() == ["started"]
    assert rollouts(path)[0]["run_id"].tolist() == ["started"]
    assert [(row["key"], row["failed"]) for row in operations(path, NOW)[0].to_dict("records")] == [
        ("a run that followed", 1), ("started", 1)]  # fmt: skip


def test_a_list_of_failures_without_all_messages_does_not_look_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [f"{one}{two} failed" for one in letters for two in letters]
    results = [result(A, msg=text, msg_fp=fingerprint(text, A)) for text in texts]
    for most, shown in ((500, "500 messages, most frequent first"), (501, "the 500 most frequent messages")):
        path = tmp_path / f"{most}.db"
        run(path, *results[:most])
        assert f"500 failures with {shown}" in words(opened(monkeypatch, path, "failures"))


def test_the_links_of_a_failure_open_its_instance_and_not_one_of_another_tenant_with_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    ref = rollout(path, (1, A))
    with open_store(path) as store:
        store.put_tenant(OTHER, NOW)
        done = rollout_read(
            ident(9, 0x7700), [target(9, ref, "succeeded", NOW, NOW, NOW, instance_hostname=A)], "completed", NOW, NOW
        )
        rows = [{**row, "tenant": OTHER} for row in done.targets or []]
        store.put_rollouts([replace(done, rollout={**done.rollout, "tenant": OTHER}, targets=rows)])
    for page, query in (("failures", {}), ("operation", {"id": ref})):
        html = "".join(str(part.value) for part in opened(monkeypatch, path, page, **query).get("html"))
        found = set(re.findall(rf'href="\./instance\?id=([^"]+)"[^>]*>{re.escape(A)}<', html))
        assert found == {ident(1, 0xB1)}, page


def test_the_cards_of_several_instances_open_each_of_them_although_two_tenants_have_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "console.db"
    namesakes_of_two_tenants(path)
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: NOW)
    both = {ident(1, 0xB1), ident(1, 0xB2)}
    for health, card in (("healthy", "2 instances failed"), ("unhealthy", "2 instances are unhealthy")):
        with open_store(path) as store, store.transaction():
            for tenant, number in ((TENANT, 1), (OTHER, 2)):
                state = {"tenant": tenant, "instance_id": ident(1, 0xB0 + number), "health": health, "checked_at": NOW}
                store.upsert("instance_state", [state])
        html = "".join(str(part.value) for part in opened(monkeypatch, path, "overview").get("html"))
        shown = next(part for part in html.split("<section") if card in part)
        assert set(re.findall(r'href="\./instance\?id=([^"]+)"', shown)) == both


@pytest.mark.parametrize("also", [False, True], ids=["only the verdict", "and a failed task"])
def test_the_verdict_of_a_run_is_no_failure_of_the_host_that_reports_it(also: bool, tmp_path: Path) -> None:
    path = tmp_path / "console.db"
    put_rollout(path, 1, 900, "succeeded")
    # With --limit, localhost has no play, so the first of its hosts reports that the run was refused.
    work = [result(A, task_counter=1)] * also
    run(path, result(A), *work, recap=[{"host": A, "failed": 1 + also}],
        reported=report("fail", failed=[A] * also, not_touched=[A] * (not also)), action=ENDS_RUN)  # fmt: skip
    with open_store(path) as store, store.transaction():
        store.upsert("tasks", [{"run_id": "run", "counter": 1, "action": COMMAND}])
    assert sorted(hosts_with(path, fingerprint(REASON, A))["host"]) == [A] * also + ["localhost"]
    seen = history(path, TENANT, ident(0, 0xB0), A, NOW - 800, NOW)
    assert seen["status"].tolist() == ["failed" if also else "took part"]


def test_a_failure_is_in_the_period_in_which_it_occurred_although_its_rollout_began_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ref, midnight = tmp_path / "console.db", ident(1, 0x7700), NOW // 86400 * 86400
    targets = [
        target(n, ref, "failed", midnight - 600, midnight - 500, ended, error_message=REASON)
        for n, ended in enumerate((midnight - 60, midnight + 60))
    ]
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_rollouts([rollout_read(ref, targets, "failed", midnight - 600, midnight + 60)])
    monkeypatch.setattr("console.web.shared.viewer.clock", lambda: midnight + 7200)
    monkeypatch.setattr("console.cli.lists.time.time", lambda: midnight + 86400)
    for word in ("today", "yesterday"):
        shown = words(opened(monkeypatch, path, "failures", failures_when=word))
        assert "1 failure with 1 message" in shown
    assert len(hosts_with(path, fingerprint(REASON, A), since=midnight)) == 1
    assert main(["failures", "--format", "json", "--days", "1", "--db", str(path)]) == 0
    assert [row["failures"] for row in json.loads(capsys.readouterr().out)] == [1]


@pytest.mark.parametrize(("failed_at", "noticed_at"), [(-1, 1), (1, 2), (-2, -1)])
def test_a_failure_that_a_task_noticed_is_in_one_period_only(
    failed_at: float, noticed_at: float, tmp_path: Path
) -> None:
    path, ref, midnight = tmp_path / "console.db", ident(1, 0x7700), NOW // 86400 * 86400
    one = target(1, ref, "failed", midnight - 600, midnight - 500, midnight + failed_at, error_message=REASON,
                 instance_hostname=A)  # fmt: skip
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_rollouts([rollout_read(ref, [one], "failed", midnight - 600, midnight + failed_at)])
    run(path, result(A, ended_at=midnight + noticed_at, msg="The redeploy failed."), links=[("rollout", ref, A)])
    days = [failures_by_message(path, midnight + day, until=midnight + day + 86400) for day in (-86400, 0)]
    assert [int(found["failures"].sum()) for found in days] == ([1, 0] if failed_at < 0 else [0, 1])
