# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of each instance of an operation, and the verdict, derived from facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import CATEGORIES as REPORTED
from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import make_report
from console.outcomes.evidence import together
from console.outcomes.facts import Batch, Facts, Flight, Result, Target
from console.outcomes.outcome import counts, outcomes
from console.outcomes.verdict import verdict
from console.outcomes.words import CATEGORIES, VERDICTS, word

HOSTS = ("a", "b", "c", "d", "e", "f")
RUN = Facts(kind="run", name="rolling_redeploy", status="failed", check=False, hosts=HOSTS, planned=HOSTS)


def result(host: str, status: str = "ok", action: str = "instance_runtime", **more: Any) -> Result:
    return Result(host, action, status, more.pop("changed", status == "ok"), 100.0, **more)


def batch(number: int, *hosts: str, touched: bool = True) -> Batch:
    return Batch(number, hosts, 10.0 * number, touched)


def categories(facts: Facts) -> dict[str, str]:
    return {host: outcome.category for host, outcome in outcomes(facts).items()}


def test_the_categories_are_those_of_the_report_and_two_of_a_running_operation() -> None:
    assert set(CATEGORIES) == {*REPORTED, "running", "waiting"}


# The case; the facts about host "a"; the status of the run; the outcome of host "a".
ONE_HOST = [
    ("nothing is known", {}, "failed", "not_touched"),
    ("nothing yet", {}, "running", "waiting"),
    ("the redeploy succeeded", {"results": [result("a")]}, "failed", "updated"),
    ("it was current", {"results": [result("a", changed=False)]}, "failed", "current"),
    ("it adopted a redeploy by someone else",
     {"results": [result("a", changed=False, values={"adopted": True})]}, "failed", "updated"),
    ("it failed", {"results": [result("a", "failed")]}, "failed", "failed"),
    ("no answer, and the result is unknown", {"results": [result("a", "failed", values={"ambiguous": True})]}, "failed",
     "uncertain"),
    ("it timed out and is still running",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}})]}, "failed", "uncertain"),
    ("the same, and the server has the result",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}})],
      "targets": [Target("a", "succeeded")]}, "failed", "updated"),
    ("it failed though the server's target succeeded: not healthy afterwards",
     {"results": [result("a", "failed")], "targets": [Target("a", "succeeded")]}, "failed", "failed"),
    ("a task of another module failed on it", {"results": [result("a", "failed", "ansible.builtin.fail")]}, "failed",
     "failed"),
    ("only its health was read before the redeploy",
     {"results": [result("a", action="instance_health_info", changed=False), result("b")]}, "failed", "not_touched"),
    ("it failed and was healed", {"results": [result("a", "failed"), result("a", action="instance_power_cycle"),
                                              result("a", changed=False)]}, "failed", "updated"),
    ("it was redeployed, and a look afterwards failed, which was ignored",
     {"results": [result("a"), result("a", "ignored", "instance_health_info")]}, "successful", "updated"),
    ("it failed, and the look afterwards too, which was ignored",
     {"results": [result("a", "failed"), result("a", "ignored", "instance_health_info")]}, "successful", "failed"),
    ("it was only read, and that failed, which was ignored",
     {"results": [result("a", "ignored", "instance_health_info")]}, "successful", "not_touched"),
    ("a task in check mode would change it", {"results": [result("a", changed=False, predicted=True)]}, "successful",
     "not_touched"),
    ("a task changed it, and another one in check mode would change it",
     {"results": [result("a"), result("a", changed=False, predicted=True)]}, "successful", "updated"),
    ("it failed, and another module in check mode would restart it",
     {"results": [result("a", "failed"), result("a", action="instance_reboot", changed=False, predicted=True)]},
     "failed", "failed"),
    ("it failed, and a later task in check mode would change it",
     {"results": [result("a", "failed"), result("a", was_sent=False)]}, "failed", "failed"),
    ("its redeploy is uncertain, and a later task in check mode would change it",
     {"results": [result("a", "failed", values={"ambiguous": True}), result("a", was_sent=False)]}, "failed",
     "uncertain"),
    ("it failed and was restarted, and a later task in check mode would change it",
     {"results": [result("a", "failed"), result("a", action="instance_power_cycle"), result("a", was_sent=False)]},
     "failed", "failed"),
    ("its redeploy is still running, and the repair after it failed",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}}),
                  result("a", "failed", "ansible.builtin.fail")]}, "failed", "uncertain"),
    ("its redeploy is still running, a repair changed something, and a task after it failed",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}}),
                  result("a", action="instance_circuit_breakers"),
                  result("a", action="instance_power_cycle", changed=False),
                  result("a", "failed", "ansible.builtin.fail")]}, "failed", "uncertain"),
    ("its redeploy failed, and the run was killed after a repair",
     {"results": [result("a", "failed"), result("a", action="instance_circuit_breakers", changed=False)]}, "lost",
     "failed"),
    ("it failed, it was restarted and redeployed, and an update would follow",
     {"results": [result("a", "failed"), result("a", action="instance_power_cycle"), result("a"),
                  result("a", action="instance_update", was_sent=False)]}, "failed", "updated"),
    ("its memory was stored, which no id shows, after a restart failed and succeeded",
     {"results": [result("a", "failed", "instance_reboot"), result("a", action="instance_reboot"),
                  result("a", action="instance_memory", was_sent=False)]}, "failed", "updated"),
    ("it was redeployed, and a look afterwards failed and then succeeded",
     {"results": [result("a"), result("a", "failed", "instance_health_info"),
                  result("a", action="instance_health_info", changed=False)]}, "failed", "updated"),
    ("a restart failed before a redeploy that is still running",
     {"results": [result("a", "failed", "instance_power_cycle"),
                  result("a", "failed", values={"target": {"status": "in_progress"}})]}, "successful", "uncertain"),
    ("its redeploy is still running, and a task in check mode follows it",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}}),
                  result("a", action="instance_health_info", changed=False),
                  result("a", changed=False, values={"adopted": True})]}, "failed", "uncertain"),
    ("its redeploy is still running, and a look at it afterwards failed",
     {"results": [result("a", "failed", values={"target": {"status": "in_progress"}}),
                  result("a", "failed", was_sent=False)]}, "failed", "uncertain"),
    ("its policy was set at the second attempt, which no id shows",
     {"results": [result("a", "failed", "instance_update_policy"),
                  result("a", action="instance_update_policy", was_sent=False)]}, "successful", "updated"),
    ("a power-cycle failed, and a reboot made up for it",
     {"results": [result("a", "failed", "instance_power_cycle"), result("a", action="instance_reboot")]}, "successful",
     "updated"),
    ("its redeploy failed late, and the instance is current",
     {"results": [result("a", "failed", changed=True), result("a", changed=False)]}, "failed", "updated"),
    ("it was redeployed, a test failed, and its diagnostics were read in any case",
     {"results": [result("a"), result("a", "failed", "ansible.builtin.uri"),
                  result("a", action="instance_diagnostics", was_sent=False)]}, "failed", "failed"),
    ("it was not healthy, and a task in check mode would change it",
     {"results": [result("a", "failed", "instance_health_info"), result("a", was_sent=False)]}, "failed", "failed"),
    ("its backup failed, and a second try saved it",
     {"results": [result("a", "failed", "instance_memory_backup"),
                  result("a", action="instance_memory_backup", was_sent=False)]}, "successful", "updated"),
    ("a restart failed, and a second one succeeded, for which the server gave no id",
     {"results": [result("a", "failed", "instance_power_cycle"),
                  result("a", action="instance_power_cycle", was_sent=False)]}, "successful", "updated"),
    ("a rule left it out", {"planned": ("b", "c"), "left_out": ("a",)}, "running", "not_touched"),
    ("its redeploy was uncertain, and a second one failed",
     {"results": [result("a", "failed", values={"ambiguous": True}), result("a", "failed")]}, "failed", "failed"),
    ("the run was killed while it was redeployed",
     {"in_flight": {"a": Flight("Bring the runtime up", "instance_runtime", 50.0)}}, "lost", "uncertain"),
    ("killed, and the server has a result",
     {"in_flight": {"a": Flight("Bring the runtime up", "instance_runtime", 50.0)},
      "targets": [Target("a", "succeeded", completed_at=60.0)]}, "lost", "updated"),
    ("killed, and it is still running on the server",
     {"in_flight": {"a": Flight("x", "instance_runtime", 50.0)}, "targets": [Target("a", "in_progress")]}, "lost",
     "running"),
    ("its backup was compared, and the run was killed while the missing memories were stored",
     {"results": [result("a", action="instance_memory_backup", changed=False)],
      "in_flight": {"a": Flight("Store each missing memory", "instance_memory", 50.0)}}, "lost", "uncertain"),
    ("its backup was compared, and the run was killed before its missing memories were stored",
     {"results": [result("a", action="instance_memory_backup", changed=False)],
      "in_flight": {"b": Flight("Store each missing memory", "instance_memory", 50.0)}}, "lost", "not_touched"),
    ("its backup was compared, and it has all memories",
     {"results": [result("a", action="instance_memory_backup", changed=False), result("b", action="instance_memory"),
                  result("a", "skipped", "instance_memory", changed=False)]}, "successful", "current"),
    ("its backup is identical, and that of another one is new",
     {"results": [result("a", action="instance_memory_backup", changed=False),
                  result("b", action="instance_memory_backup")]}, "successful", "updated"),
    ("its backup failed, and a second try was identical",
     {"results": [result("a", "failed", "instance_memory_backup"),
                  result("a", action="instance_memory_backup", changed=False)]}, "successful", "updated"),
    ("it was redeployed, and the run was killed while it was restarted",
     {"results": [result("a")], "in_flight": {"a": Flight("Restart it", "instance_reboot", 50.0)},
      "targets": [Target("a", "succeeded")]}, "lost", "uncertain"),
    ("its memory was saved, the run was killed while it was redeployed, and the server failed it",
     {"results": [result("a", action="instance_memory_backup")], "targets": [Target("a", "failed")],
      "in_flight": {"a": Flight("Redeploy it", "instance_runtime", 50.0)}}, "lost", "failed"),
    ("it failed, and the run was killed while it was restarted",
     {"results": [result("a", "failed")], "in_flight": {"a": Flight("Restart it", "instance_reboot", 50.0)}}, "lost",
     "failed"),
    ("it was redeployed, and the run was killed while its health was read",
     {"results": [result("a")], "in_flight": {"a": Flight("Look", "instance_health_info", 50.0)}}, "lost", "updated"),
    ("killed while a bookkeeping task ran", {"in_flight": {"a": Flight("Keep it", "ansible.builtin.set_fact", 5.0)}},
     "lost", "not_touched"),
    ("being redeployed", {"in_flight": {"a": Flight("x", "instance_runtime", 50.0)}}, "running", "running"),
    ("a bookkeeping task runs", {"in_flight": {"a": Flight("x", "ansible.builtin.set_fact", 5.0)}}, "running",
     "waiting"),
    ("the server failed it and the run was cancelled", {"targets": [Target("a", "failed")]}, "canceled", "failed"),
    ("it was not planned", {"planned": ("b", "c")}, "failed", "current"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "status", "expected"), [row[1:] for row in ONE_HOST], ids=[r[0] for r in ONE_HOST])
def test_without_a_report_the_outcome_of_an_instance_is_derived(
    facts: dict[str, Any], status: str, expected: str
) -> None:
    given = replace(RUN, status=status, **facts)
    found = outcomes(given)
    assert found["a"].category == expected
    assert found["a"].derived
    assert set(found) == set(HOSTS)
    assert sum(counts(given).values()) == len(HOSTS)


def test_an_instance_counts_as_healed_only_after_its_batch_has_ended() -> None:
    cleared = result("a", action="instance_circuit_breakers")
    facts = replace(RUN, name="recover", results=[cleared], batches=(batch(1, "a"),), status="running")
    assert categories(facts)["a"] == "running"
    assert categories(replace(facts, status="lost"))["a"] == "uncertain"
    assert categories(replace(facts, batches=(batch(1, "a"), batch(2, "b"))))["a"] == "updated"
    looked = [result("a", action="instance_health_info", changed=False), result("a", "skipped", "instance_reboot")]
    assert categories(replace(facts, status="lost", results=[*looked, result("b")]))["a"] == "current"
    restarted = [result("a", "failed", "instance_circuit_breakers"), result("a", action="instance_power_cycle")]
    assert categories(replace(facts, status="failed", results=restarted))["a"] == "updated"
    not_healthy = result("a", "failed", "ansible.builtin.fail", message="Still not healthy after breakers")
    assert categories(replace(facts, status="failed", results=[cleared, not_healthy]))["a"] == "failed"


def test_a_healthy_instance_is_current_and_an_audited_one_is_updated() -> None:
    healthy = [result("a", action="instance_health_info", changed=False), result("a", "skipped", "instance_reboot")]
    recover = replace(RUN, name="recover", status="successful", results=[*healthy, result("b")])
    assert categories(recover)["a"] == "current"
    audit = replace(RUN, name="audit_report", status="successful", hosts=("a",), planned=None,
                    results=[result("a", action="instance_audit_info", changed=False)])  # fmt: skip
    assert categories(audit) == {"a": "updated"}
    assert verdict(audit).sentence == "Complete. 1 read."
    own = replace(audit, name="morning_report", check=True)
    assert verdict(own).sentence == "Check run, nothing was changed. 1 would be done."


def reported(verdict_of_gate: str, **results: dict[str, Any] | None) -> dict[str, Any]:
    planned = [host for host in HOSTS if host != "f"]
    report = make_report(HOSTS, planned, results, verdict=verdict_of_gate, gone=["e"], server={})
    return {**report, "reasons": ["1 instance failed (b); at most 0 may fail."] if verdict_of_gate == "fail" else []}


STOPPED = reported("fail", a={"changed": True}, b={"failed": True, "msg": "boom"})


def test_the_outcomes_and_counts_of_a_stopped_run_match_its_report() -> None:
    # In Ansible, the first host of the third batch has an "ok" from the gate, which means nothing.
    facts = replace(
        RUN,
        report=STOPPED,
        results=[result("a"), result("b", "failed", message="boom")],
        batches=(batch(1, "a"), batch(2, "b"), batch(3, "c", "d", touched=False)),
        batches_planned=4,
    )
    found = outcomes(facts)
    assert {host: outcome.category for host, outcome in found.items()} == {
        "a": "updated", "b": "failed", "c": "not_touched", "d": "not_touched", "e": "gone", "f": "current"
    }  # fmt: skip
    assert {category: n for category, n in counts(facts).items() if n} == {
        category: n for category, n in STOPPED["counts"].items() if n
    }
    assert (found["b"].message, found["b"].since, found["b"].derived) == ("boom", 100.0, False)
    found_verdict = verdict(facts)
    assert found_verdict.word == "stopped"
    assert found_verdict.sentence == (
        "Stopped after batch 2 of 4: 1 instance failed (b); at most 0 may fail. "
        "1 updated, 1 failed, 1 already current, 2 not touched, 1 not found."
    )


@pytest.mark.parametrize("cut", [{"not_touched"}, {"not_touched", "updated"}])
def test_a_truncated_report_keeps_its_counts_and_missing_names_are_derived(cut: set[str]) -> None:
    short = {key: value[:1] if key in cut else value for key, value in STOPPED.items()}
    facts = replace(RUN, report=short, report_cut=frozenset(cut), results=[result("a"), result("b", "failed")])
    assert categories(facts) == categories(replace(RUN, report=STOPPED))
    assert counts(facts)["not_touched"] == 2


def test_the_targets_and_the_counters_of_a_rollout_give_the_same_counts() -> None:
    targets = [Target(host, status, target_id=host) for host, status in zip(
        HOSTS, ("succeeded", "failed", "uncertain", "cancelled", "queued", "in_progress"), strict=True)]  # fmt: skip
    counters = {"total": 6, "succeeded": 1, "failed": 1, "uncertain": 1, "queued": 1, "in_progress": 1}
    rollout = Facts(kind="rollout", name="fleet rollout", status="in_progress", rollout=counters)
    whole = replace(rollout, targets=targets)
    assert counts(whole) == counts(rollout)
    assert categories(whole) == {
        "a": "updated", "b": "failed", "c": "uncertain", "d": "not_touched", "e": "waiting", "f": "running"
    }  # fmt: skip
    again = replace(whole, targets=[*targets, Target("b", "succeeded", created_at=5.0)])
    assert categories(again)["b"] == "updated"
    # The verdict of a run about an uncertain target counts.
    reconciled = {"rollout_id": "r", "reconciled": [{"target_id": "c", "verdict": "succeeded"}]}
    run = replace(whole, kind="run", name="fleet_rollout", status="successful", report=reconciled)
    assert categories(run)["c"] == "updated"
    assert counts(run) == counts(replace(run, targets=()))


def test_a_run_that_adopted_a_rollout_has_no_instances() -> None:
    report = {"rollout_id": "r", "adopted": True, "rollout": {"total_targets": 5, "succeeded_targets": 5}}
    facts = Facts(kind="run", name="fleet_rollout", status="successful", report=report, adopted=True,
                  targets=[Target("a", "succeeded")])  # fmt: skip
    assert sum(counts(facts).values()) == 0
    assert verdict(facts).sentence == "Complete: it followed a rollout that somebody else started."


@pytest.mark.parametrize(
    ("facts", "expected", "sentence"),
    [
        (Facts("run", "x", "successful"), "complete", "Complete."),
        (Facts("run", "x", "failed", first_failure="a: no route"), "stopped", "Stopped: a: no route."),
        (Facts("run", "x", "failed", first_failure="complete backups only"), "stopped",
         "Stopped: complete backups only."),
        (Facts("run", "x", "lost"), "lost", "Lost: its process ended without a recap."),
        (Facts("run", "x", "unknown"), "lost", "Lost: how it ended is unknown."),
        (Facts("run", "x", "canceled"), "cancelled", "Cancelled."),
        (Facts("run", "x", "running", batches=(batch(1, "a"), batch(2, "b")), batches_planned=7), "running",
         "Running, batch 2 of 7."),
        (replace(RUN, report=reported("deferred", a={"changed": True})), "deferred",
         "Deferred. 1 updated, 1 already current, 3 deferred, 1 not found."),
        (replace(RUN, report={**reported("inconclusive"), "reasons": ["The window cannot be read."]}), "inconclusive",
         "Inconclusive: The window cannot be read. 1 already current, 4 not touched, 1 not found."),
        # Ansible reports a failure, but the run completed, because the failures were within the budget.
        (replace(RUN, report={**STOPPED, "verdict": "pass", "reasons": []}), "complete",
         "Complete with 1 failed. 1 updated, 1 failed, 1 already current, 2 not touched, 1 not found."),
        # No instance failed according to the report, so something else did.
        (replace(RUN, report=reported("pass", a={"changed": True}), first_failure="a: no space left"), "stopped",
         "Stopped: a: no space left. 1 updated, 1 already current, 3 not touched, 1 not found."),
        (replace(RUN, status="successful", check=True, report=reported("pass", a={"changed": True})), "check",
         "Check run, nothing was changed. 1 would be updated, 1 already current, 3 not touched, 1 not found."),
        (Facts("rollout", "fleet rollout", "paused", rollout={"total": 3, "succeeded": 1, "queued": 2}), "stopped",
         "Stopped: paused on the server. 1 updated, 2 waiting."),
        (Facts("rollout", "fleet rollout", "partial", rollout={"total": 2, "succeeded": 1, "failed": 1}), "complete",
         "Complete with failures. 1 updated, 1 failed."),
        (Facts("rollout", "fleet rollout", "unheard_of"), "inconclusive",
         "Inconclusive: the server says 'unheard_of'."),
        (Facts("act", "pause", "done", hosts=("r",)), "complete", "Complete."),
        (Facts("act", "pause", "failed", hosts=("r",), detail="409: it has ended"), "stopped",
         "Stopped: 409: it has ended."),
        (Facts("act", "pause", "no outcome", hosts=("r",)), "lost", "Lost: no outcome was stored."),
    ],
)  # fmt: skip
def test_the_verdict_of_an_operation_has_a_word_and_a_sentence(facts: Facts, expected: str, sentence: str) -> None:
    found = verdict(facts)
    assert (found.word, found.sentence) == (expected, sentence)
    assert found.word in VERDICTS


@pytest.mark.parametrize(
    ("name", "done"),
    [("rolling_redeploy", "updated"), ("recover", "healed"), ("reboot", "restarted"), ("power_cycle", "restarted"),
     ("apply_updates", "applied"), ("fleet rollout", "updated"), ("memory_backup", "done"),
     ("fleet_state", "changed"), ("site", "done")],
)  # fmt: skip
def test_each_playbook_has_its_own_word_for_updated(name: str, done: str) -> None:
    assert word("updated", name) == done
    assert word("not_touched", name) == "not touched"


def test_the_reports_of_imported_playbooks_are_merged() -> None:
    first = make_report(["a", "b"], ["a", "b"], {"a": {"changed": True}, "b": {"failed": True, "msg": "boom"}},
                        verdict="fail", server={})  # fmt: skip
    second = make_report(["b", "c"], ["b", "c"], {"b": {"changed": True}, "c": {}}, verdict="pass", server={})
    merged = together([{**first, "reasons": ["b failed."]}, {**second, "reasons": []}])
    assert (merged["updated"], merged["failed"], merged["current"]) == (["a", "b"], [], ["c"])
    assert (merged["counts"]["updated"], merged["why"], merged["verdict"], merged["reasons"]) == (
        2,
        {},
        "fail",
        ["b failed."],
    )
    assert {**together([first]), "counts": None} == {**first, "counts": None, "reasons": []}


def test_a_later_report_without_work_on_an_instance_does_not_hide_what_an_earlier_one_did() -> None:
    reports = [
        {"updated": ["a"], "failed": ["b"], "not_touched": ["c"], "why": {"b": "boom"}, "verdict": "pass"},
        {"current": ["a", "c"], "deferred": ["b"], "why": {"b": "the window is closed"}, "verdict": "pass"},
    ]
    merged = together(reports)
    assert (merged["updated"], merged["failed"], merged["current"]) == (["a"], ["b"], ["c"])
    assert (merged["deferred"], merged["not_touched"], merged["why"]) == ([], [], {"b": "boom"})


def test_empty_and_invalid_facts_have_no_outcomes() -> None:
    for kind in ("run", "rollout", "act"):
        empty = Facts(kind, "", "")
        assert sum(counts(empty).values()) == 0
        assert verdict(empty).word in VERDICTS
    broken = Facts(
        "run", "x", "failed", report={"counts": {"updated": "many"}, "updated": None, "why": [], "reasons": 3}
    )
    assert sum(counts(broken).values()) == 0
    assert verdict(broken).sentence == "Stopped."


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_REPORT = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("why", "disagreements", "reasons", "verdict", "adopted", "rollout_id", "plan_hash"), _JSON),
        "counts": st.dictionaries(st.sampled_from(CATEGORIES), _JSON) | _JSON,
        "failed": st.lists(st.just("a") | _JSON, max_size=2) | _JSON,
        "rollout": st.dictionaries(st.sampled_from(["total", "failed_targets"]), _JSON) | _JSON,
        "reconciled": st.lists(st.fixed_dictionaries({"target_id": _JSON, "verdict": _JSON}) | _JSON, max_size=2),
    },
)


@example({"counts": {}, "failed": [[]]}, "run", "running")
@given(_REPORT, st.sampled_from(["run", "rollout"]), st.sampled_from(["running", "failed", "completed", "lost"]))
def test_any_report_gives_valid_outcomes_and_counts_of_64_bits(report: dict[str, Any], kind: str, status: str) -> None:
    uncertain = Target("a", "uncertain", target_id="1")
    given_facts = replace(RUN, kind=kind, status=status, report=report, targets=(uncertain,))
    for facts in (given_facts, replace(given_facts, targets=())):
        judged = outcomes(facts)
        numbers = counts(facts, judged)
        assert set(numbers) == set(CATEGORIES)
        assert all(number >= 0 for number in numbers.values()) and sum(numbers.values()) < 2**63
        assert verdict(facts, numbers).word in VERDICTS
