# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the run log keeps of plans, gates and reports: all of small ones, the scalars of large ones, no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules import gate
from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import make_report
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.evidence import evidence_of, has_evidence
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import kept_result

KEY = "the-key-of-the-fleet"
REDACTOR = Redactor([KEY])
LIMIT = 65536
MODULE = "fleetops.agents.rollout_{}"


def names(many: int) -> list[str]:
    return [f"agent-{number:05d}.{'long-' * 8}name.fra1.example.com" for number in range(many)]


def document(kind: str, result: dict[str, Any], *, limit: int = LIMIT, event: str = "runner_on_ok") -> dict[str, Any]:
    """The document of a result. Checks its kind, size and masking, and that storing it again changes nothing."""
    found = evidence_of(event, MODULE.format(kind), result, limit, REDACTOR)
    assert found is not None
    assert found["kind"] == kind
    text = json.dumps(found["document"], separators=(",", ":"), ensure_ascii=True)
    assert len(text) <= limit
    assert KEY not in text
    return found["document"]


def plan_of(hosts: list[str], batch: int = 4) -> dict[str, Any]:
    batches = [hosts[at : at + batch] for at in range(0, len(hosts), batch)]
    return {
        "changed": False,
        "text": ["..."],
        "batches": [
            {"number": n, "instances": batch, "p50_seconds": 31.0, "p90_seconds": 44.5}
            for n, batch in enumerate(batches, 1)
        ],
        "planned": {host: f"id-of-{host}" for host in hosts},
        "instances": [{"name": host, "instance_id": f"id-of-{host}", "why": "outdated"} for host in hosts],
        "left_alone": ["agent-a"],
        "gone": [],
        "serial": [1, 4],
        "max_parallel_rollouts": 4,
        "expected": {"starts_at": "2026-11-24T01:00:00+00:00", "ends_p90": "2026-11-24T01:06:30+00:00", "samples": 48},
        "window": {"open": True, "closes_at": None, "fits": "all"},
        "freezes": [{"from": "2026-12-20T00:00:00+00:00", "to": "2027-01-01T00:00:00+00:00", "reason": "end of year"}],
        "plan_hash": "8d1f0a33c1-0b9e77aa10-91c0d2e3f4",
        "invocation": {"module_args": {"api_key": KEY}},
    }


def gate_of(hosts: list[str]) -> dict[str, Any]:
    checks = [
        gate.budget(hosts, 1, []),
        gate.Check("window", gate.PASS, "The maintenance window is open all day."),
        gate.foreign_rollout([]),
        gate.health_share({host: {"status": "down"} for host in hosts}, 0.75, len(hosts)),
        gate.soaked(gate.Soak(3, unhealthy=dict.fromkeys(hosts, "down")), hosts, 60.2, 4),
        gate.audit(dict.fromkeys(hosts), {}, most=0.05, least_events=20),
    ]
    reasons = [check.reason for check in checks if check.verdict != gate.PASS]
    verdict, figures = gate.worst(checks), [check.as_dict() for check in checks]
    return {
        "changed": False,
        "verdict": verdict,
        "go": False,
        "reasons": reasons,
        "checks": figures,
        "waited_seconds": 1.5,
    }


def report_of(hosts: list[str], message: str = "the redeploy failed") -> dict[str, Any]:
    outcomes: dict[str, Any] = {
        host: {"failed": True, "msg": f"{host}: {message}"} if n % 2 else {"changed": True}
        for n, host in enumerate(hosts)
    }
    made = make_report(hosts, hosts, outcomes, verdict="fail", server=dict.fromkeys(hosts, "outdated"))
    return {"changed": False, "report": {**made, "reasons": [f"The budget is used up ({KEY})."]}, "text": ["..."]}


def test_a_small_plan_is_kept_with_its_batches_but_without_the_details_of_each_instance() -> None:
    plan = plan_of(["agent-1", "agent-2", "agent-3", "agent-4", "agent-5"])
    kept = document("plan", plan)
    assert kept["counts"] == {"batches": 2, "planned": 5, "left_alone": 1, "gone": 0}
    assert kept["batches"] == [{"size": size, **row} for size, row in zip((4, 1), plan["batches"], strict=True)]
    same = ("plan_hash", "max_parallel_rollouts", "expected", "window", "freezes", "left_alone", "gone")
    assert {name: kept[name] for name in same} == {name: plan[name] for name in same}
    assert set(kept) == {*same, "counts", "batches"}


def test_a_gate_is_kept_with_the_figures_of_each_check() -> None:
    result = gate_of(["agent-1", "agent-2"])
    assert document("gate", result) == {
        name: result[name] for name in ("verdict", "reasons", "checks", "waited_seconds")
    }


def test_a_report_is_kept_with_its_secrets_masked() -> None:
    result = report_of(["agent-1", "agent-2"], f"401 for {KEY}")
    kept = document("report", result)
    assert kept["why"] == {"agent-2": "agent-2: 401 for ********"}
    assert kept["reasons"] == ["The budget is used up (********)."]
    same = set(kept) - {"why", "reasons"}
    assert {name: kept[name] for name in same} == {name: result["report"][name] for name in same}
    assert set(kept) == set(result["report"])


@pytest.mark.parametrize("limit", [4096, LIMIT])
def test_for_20000_hosts_the_scalars_are_kept_and_the_lists_state_their_full_length(limit: int) -> None:
    fleet = names(20000)
    report = report_of(fleet)["report"]
    kept = document("report", report_of(fleet), limit=limit)
    assert (kept["verdict"], kept["counts"], kept["truncated"]) == ("fail", report["counts"], True)
    assert kept["left_out"] == dict.fromkeys(("failed", "updated", "why"), 10000) | {"disagreements": 10000}
    assert kept["updated"] == report["updated"][: len(kept["updated"])]

    plan = document("plan", plan_of(fleet), limit=limit)
    assert plan["counts"] == {"batches": 5000, "planned": 20000, "left_alone": 1, "gone": 0}
    assert (plan["plan_hash"], plan["window"]["fits"], plan["expected"]["samples"]) == (
        plan_of([])["plan_hash"],
        "all",
        48,
    )
    assert plan["left_out"]["batches"] == 5000
    assert [batch["size"] for batch in plan["batches"]] == [4] * len(plan["batches"])

    judged = document("gate", gate_of(fleet), limit=limit)
    checks = judged["checks"]
    assert judged["verdict"] == "fail"
    if limit == LIMIT:
        assert [check["name"] for check in checks] == ["budget", "window", "foreign_rollout", "health", "soak", "audit"]
        assert (checks[0]["failed"], checks[3]["asked"], checks[4]["seconds"]) == (20000, 20000, 60.2)
        assert judged["left_out"]["checks.3.unhealthy"] == 20000
        assert 20 <= len(checks[3]["unhealthy"]) < 20000
        assert judged["reasons"] == gate_of(fleet)["reasons"]
        assert len(plan["batches"]) >= 20
        assert len(kept["why"]) >= 20


def test_long_messages_of_many_failed_instances_are_shortened_before_their_list() -> None:
    kept = document("report", report_of(names(60), "because " * 1000))
    assert len(kept["updated"]) == len(kept["failed"]) == len(kept["why"]) == 30
    assert all(len(why) == 1024 and why.endswith(" ...") for why in kept["why"].values())


def test_a_failed_result_keeps_its_message_and_findings() -> None:
    failed = {"failed": True, "changed": False, "msg": f"HTTP 401 for {KEY}"}
    assert document("gate", failed, event="runner_on_failed") == {"failed": True, "msg": "HTTP 401 for ********"}
    moved = document("plan", {**plan_of(["agent-1"]), "failed": True, "msg": "Not the plan.", "moved": ["versions"]})
    assert (moved["failed"], moved["msg"], moved["moved"], moved["counts"]["planned"]) == (
        True,
        "Not the plan.",
        ["versions"],
        1,
    )


@pytest.mark.parametrize(
    ("event", "action", "result"),
    [
        ("runner_on_ok", "fleetops.agents.rollout_info", gate_of(["a"])),
        ("runner_on_ok", "other.collection.rollout_gate", gate_of(["a"])),
        ("runner_on_ok", None, gate_of(["a"])),
        ("runner_on_ok", ["fleetops.agents.rollout_gate"], gate_of(["a"])),
        ("runner_retry", "fleetops.agents.rollout_gate", gate_of(["a"])),
        ("runner_on_skipped", "fleetops.agents.rollout_gate", {"skipped": True}),
        ("runner_on_ok", "fleetops.agents.rollout_gate", {**gate_of(["a"]), "_ansible_no_log": True}),
        ("runner_on_ok", "fleetops.agents.rollout_gate", {"censored": "hidden", "changed": False}),
        # The combined result of a loop: each of its items had its own event.
        ("runner_on_ok", "fleetops.agents.rollout_gate", {"results": [gate_of(["a"])], "changed": False}),
        ("runner_on_ok", "fleetops.agents.rollout_plan", {"batches": "none"}),
        ("runner_on_ok", "fleetops.agents.rollout_report", {"report": "none"}),
    ],
)
def test_other_results_are_not_evidence(event: str, action: Any, result: dict[str, Any]) -> None:
    assert evidence_of(event, action, result, LIMIT, REDACTOR) is None


def test_the_result_of_a_loop_item_is_evidence() -> None:
    assert has_evidence("runner_item_on_ok", "fleetops.agents.rollout_gate")
    assert document("gate", gate_of(["a"]), event="runner_item_on_ok")["verdict"] == "fail"


def test_how_an_outcome_was_found_is_kept_even_if_nothing_changed() -> None:
    looked_up = [{"target_id": "t", "verdict": "succeeded", "evidence": f"version is current {KEY}"}]
    result = {"changed": False, "rollout_id": "r", "reconciled": looked_up, "retried": [], "targets": [{"id": "t"}]}
    assert kept_result(result, "runner_on_ok", LIMIT, REDACTOR) == {
        "changed": False,
        "rollout_id": "r",
        "reconciled": [{**looked_up[0], "evidence": "version is current ********"}],
    }
    adopted = {"changed": False, "adopted": True, "before": {"runtime": "1"}, "after": {"runtime": "2"}, "health": {}}
    assert kept_result(adopted, "runner_on_ok", LIMIT, REDACTOR) == {k: v for k, v in adopted.items() if k != "health"}
    # The same keys with another meaning in another module.
    assert kept_result({"changed": False, "before": "old", "after": "new"}, "runner_on_ok", LIMIT, REDACTOR) == {
        "changed": False
    }
    many = {**result, "reconciled": looked_up * 1000}
    assert kept_result(many, "runner_on_ok", 4096, REDACTOR) == {"changed": False, "rollout_id": "r", "truncated": True}
