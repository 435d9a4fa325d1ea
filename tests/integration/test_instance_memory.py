# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What instance_memory and instance_memory_info do, as the server's journal shows it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import ModuleTask, posts, run_module, run_unchecked
from tests.simulator.running import Simulator
from tests.unit.client.crooked_server import CrookedServer, Reply

HOST = "agent-001"
FACT = {"kind": "fact", "content": "Invoices go out on Fridays.", "conversation_id": "conv-9"}


@pytest.fixture
def sim(sim: Simulator) -> Simulator:
    """An instance without memories."""
    sim.call("DELETE", path(sim), {})
    sim.clear_journal()
    return sim


def path(sim: Simulator) -> str:
    return f"/v1/instances/{sim.instance(HOST)['id']}/memory"


def remember(sim: Simulator, *memories: dict[str, Any]) -> list[str]:
    """Store memories as another user. Returns their ids."""
    ids = [sim.call("POST", path(sim), memory)[1]["memory"]["id"] for memory in memories]
    sim.clear_journal()
    return ids


def held(sim: Simulator) -> list[dict[str, Any]]:
    return sim.call("GET", path(sim) + "?limit=200")[1]["memories"]


def run_task(sim: Simulator, **options: Any) -> ModuleTask:
    return run_module(sim, "instance_memory", HOST, **options)


def clear(sim: Simulator, **options: Any) -> ModuleTask:
    return run_task(sim, state="absent", **options)


def bodies(sim: Simulator) -> list[Any]:
    return [row["body"] for row in sim.writes()]


# Storing


def test_a_memory_is_stored_once(sim: Simulator) -> None:
    result = run_task(sim, **FACT).result
    assert result["changed"] and result["diff"] == {"before": {"memory": None}, "after": {"memory": FACT}}
    assert result["status"] == "stored" and result["truncated"] is False
    assert bodies(sim) == [FACT] and held(sim) == [result["memory"]]
    again = run_task(sim, **FACT).result
    assert not again["changed"] and again["memory"] == result["memory"]
    assert bodies(sim) == [FACT]


# behaviour 3.5, row 28
def test_check_mode_predicts_the_write_and_sends_nothing(sim: Simulator) -> None:
    foretold = run_task(sim, check=True, **FACT).result
    assert posts(sim) == [] and foretold["memory"] == FACT
    done = run_task(sim, **FACT).result
    assert (foretold["changed"], foretold["diff"]) == (done["changed"], done["diff"])
    assert not run_task(sim, check=True, **FACT).result["changed"]


@pytest.mark.parametrize(
    "content", ["  Grüße vom\nKunden ", "Gru\u0308ße vom Kunden", "Gr\u00fc\u00dfe\u00a0vom Kunden"]
)
def test_a_memory_with_the_same_text_in_another_form_counts_as_stored(sim: Simulator, content: str) -> None:
    remember(sim, {"content": "Grüße vom Kunden", "score": 0.5})
    result = run_task(sim, content=content).result
    assert not result["changed"] and posts(sim) == []


@pytest.mark.parametrize(
    "other",
    [
        {**FACT, "content": "Invoices go out on Mondays."},
        {**FACT, "kind": "procedural"},
        {**FACT, "conversation_id": "conv-8"},
        {**FACT, "customer_id": "cust-1"},
        {**FACT, "content": None},
        {},
    ],
)
def test_a_different_memory_does_not_count_as_stored(sim: Simulator, other: dict[str, Any]) -> None:
    remember(sim, other)
    assert run_task(sim, **FACT).result["changed"]
    assert len(held(sim)) == 2


def test_a_memory_from_a_backup_is_stored_again_and_then_recognised(sim: Simulator) -> None:
    remember(sim, {**FACT, "tags": ["billing"]}, {"content": "no conversation"})
    backup = run_module(sim, "instance_memory_info", HOST).result["memories"]
    assert not any(run_task(sim, memory=row).result["changed"] for row in backup)
    sim.call("DELETE", path(sim), {})
    sim.clear_journal()
    assert all(run_task(sim, memory=row).result["changed"] for row in backup)
    assert [set(body) & {"id", "created_at"} for body in bodies(sim)] == [set(), set()]
    assert not any(run_task(sim, memory=row).result["changed"] for row in backup)


@pytest.mark.parametrize("fault", [{"reset_after": True}, {"commit_then_status": 502}, {"empty_204": True}])
def test_a_memory_whose_answer_is_lost_is_found_in_the_list(sim: Simulator, fault: dict[str, Any]) -> None:
    sim.fault(operation="store_memory", **fault)
    result = run_task(sim, **FACT).result
    assert not result.get("failed") and result["changed"], result
    assert held(sim) == [result["memory"]]
    assert posts(sim) == ["store_memory"]


@pytest.mark.parametrize("fault", [{"reset_before": True}, {"status": 500}])
def test_a_memory_that_does_not_appear_is_reported_and_not_sent_again(sim: Simulator, fault: dict[str, Any]) -> None:
    sim.fault(operation="store_memory", **fault)
    done = run_task(sim, **FACT)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["error"]["ambiguous"]
    assert "did not appear in the list" in done.msg and sim.instance(HOST)["id"] in done.msg
    assert sum(done.pauses) == 10
    assert posts(sim) == ["store_memory"]


def test_a_failed_look_up_does_not_hide_that_the_outcome_is_unknown(sim: Simulator) -> None:
    sim.fault(operation="store_memory", reset_after=True)
    sim.fault(operation="list_memories", skip=1, status=422, detail="no")
    done = run_task(sim, **FACT)
    assert done.result["failed"] and done.result["ambiguous"] and done.result["changed"]
    assert "POST" in done.msg and "Looking for what it did failed too" in done.msg


@pytest.mark.parametrize("check", [False, True])
def test_a_memory_is_not_added_to_a_truncated_list_unless_allowed(sim: Simulator, check: bool) -> None:
    remember(sim, *({"content": f"fact {n}"} for n in range(200)))
    assert not run_task(sim, content="fact 7").result["changed"]
    done = run_task(sim, content="new", check=check)
    assert done.result["failed"] and done.result["truncated"] and not done.result["changed"]
    assert "lists only 200 memories" in done.msg and "on_truncated=store" in done.msg
    assert posts(sim) == []
    done = run_task(sim, content="new", check=check, on_truncated="store")
    assert done.result["changed"] and "perhaps a second time" in done.warnings[0]
    # A conversation can be listed on its own.
    assert run_task(sim, content="new", conversation_id="conv-1", check=check).result["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content": " "}, "no content"),
        ({"memory": {"id": 1, "conversation_id": "c", "kind": "fact"}}, "no content"),
        ({"memory": {"content": float("nan")}}, "cannot be sent"),
        ({"content": "x", "customer_id": ""}, "customer_id is empty"),
        ({"content": "x", "all": True}, "only with state=absent"),
        ({"content": "x", "expect_count": 0}, "only with state=absent"),
        ({"state": "absent"}, "needs conversation_id or customer_id, or all=true"),
        ({"state": "absent", "conversation_id": " "}, "conversation_id is empty"),
        ({"state": "absent", "all": True, "customer_id": "c"}, "give one of the two"),
        ({"state": "absent", "content": "x", "conversation_id": "c"}, "never a single memory"),
        ({"state": "absent", "all": True, "memory": {"id": 1}}, "never a single memory"),
    ],
)
def test_options_that_exclude_each_other_are_refused_before_any_call(
    sim: Simulator, options: dict[str, Any], message: str
) -> None:
    done = run_task(sim, **options)
    assert done.result["failed"] and message in done.msg and not done.result["changed"]
    assert sim.journal() == []


# Clearing


def three(sim: Simulator) -> list[str]:
    """Store memories of two conversations. Returns the ids of the first conversation, newest first."""
    ids = remember(
        sim,
        {"content": "a", "conversation_id": "conv-1", "customer_id": "cust-1"},
        {"content": "b", "conversation_id": "conv-1", "customer_id": "cust-2"},
        {"content": None, "conversation_id": "conv-2", "customer_id": "cust-2"},
    )
    return ids[1::-1]


@pytest.mark.parametrize("check", [False, True])
def test_only_the_selected_memories_are_cleared(sim: Simulator, check: bool) -> None:
    ids = three(sim)
    result = clear(sim, conversation_id="conv-1", check=check).result
    assert result["changed"] and (result["deleted"], result["deleted_ids"]) == (2, ids)
    assert result["diff"] == {"before": {"count": 2, "ids": ids}, "after": {"count": 0, "ids": []}}
    assert result["memories_before"] == 2
    if check:
        assert posts(sim) == [] and len(held(sim)) == 3
        return
    assert result["status"] == "cleared" and result["remaining"] == 0
    assert bodies(sim) == [{"conversation_id": "conv-1"}]
    assert [row["conversation_id"] for row in held(sim)] == ["conv-2"]
    again = clear(sim, conversation_id="conv-1").result
    assert not again["changed"] and (again["deleted"], again["deleted_ids"]) == (0, [])
    assert posts(sim) == ["clear_memories"]


def test_a_conversation_of_one_customer_is_cleared(sim: Simulator) -> None:
    three(sim)
    assert clear(sim, conversation_id="conv-1", customer_id="cust-2").result["deleted"] == 1
    assert bodies(sim) == [{"conversation_id": "conv-1", "customer_id": "cust-2"}]


def test_all_memories_are_cleared_only_if_requested_explicitly(sim: Simulator) -> None:
    three(sim)
    result = clear(sim, all=True).result
    assert result["deleted"] == 3 and bodies(sim) == [{}] and held(sim) == []


# behaviour 3.5, row 25
@pytest.mark.parametrize("check", [False, True])
def test_memories_that_cannot_be_listed_completely_are_not_cleared(sim: Simulator, check: bool) -> None:
    remember(sim, *({"content": f"fact {n}", "conversation_id": f"conv-{n % 2}"} for n in range(200)))
    done = clear(sim, all=True, check=check)
    assert done.result["failed"] and not done.result["changed"] and done.result["truncated"]
    assert "lists only 200 memories" in done.msg and "Nothing was cleared" in done.msg
    assert done.result["slices"] == {"conversation_id": ["conv-0", "conv-1"], "customer_id": []}
    assert posts(sim) == []
    # Each part can be listed completely.
    for conversation in done.result["slices"]["conversation_id"]:
        assert clear(sim, conversation_id=conversation, check=check).result["deleted"] == 100


def test_a_clear_is_refused_if_the_count_differs_from_the_backup(sim: Simulator) -> None:
    three(sim)
    backup = run_module(sim, "instance_memory_info", HOST, conversation_id="conv-1").result
    remember(sim, {"content": "since", "conversation_id": "conv-1"})
    done = clear(sim, conversation_id="conv-1", expect_count=backup["count"])
    assert done.result["failed"] and "has 3 memories of conversation conv-1, but expect_count is 2" in done.msg
    assert posts(sim) == []
    assert clear(sim, conversation_id="conv-1", expect_count=3).result["changed"]
    assert not clear(sim, conversation_id="conv-1", expect_count=3).result.get("failed"), "already done"


@pytest.mark.parametrize("fault", [{"reset_after": True}, {"commit_then_status": 502}, {"truncated_body": True}])
def test_a_clear_whose_answer_is_lost_is_looked_up(sim: Simulator, fault: dict[str, Any]) -> None:
    ids = three(sim)
    sim.fault(operation="clear_memories", **fault)
    result = clear(sim, conversation_id="conv-1").result
    assert not result.get("failed") and result["changed"], result
    assert (result["deleted"], result["deleted_ids"], result["remaining"]) == (2, ids, 0)
    assert posts(sim) == ["clear_memories"]


@pytest.mark.parametrize("fault", [{"reset_before": True}, {"status": 500}])
def test_a_clear_of_unknown_outcome_is_not_sent_again(sim: Simulator, fault: dict[str, Any]) -> None:
    three(sim)
    sim.fault(operation="clear_memories", **fault)
    done = clear(sim, conversation_id="conv-1")
    assert done.result["failed"] and done.result["ambiguous"]
    assert "memories of conversation conv-1 are still listed: 2 of 2" in done.msg
    assert (done.result["deleted"], done.result["deleted_ids"], done.result["remaining"]) == (0, [], 2)
    assert posts(sim) == ["clear_memories"]


def test_a_memory_that_is_stored_after_the_clear_is_kept_and_reported(sim: Simulator) -> None:
    three(sim)

    def during(pause: int) -> None:
        if pause == 1:
            sim.clear_faults()
            sim.call("DELETE", path(sim), {"conversation_id": "conv-1"})
            remember(sim, {"content": "since", "conversation_id": "conv-1"})

    # The server is still clearing when the client has given up.
    sim.fault(operation="clear_memories", reset_before=True)
    done = clear(sim, conversation_id="conv-1", during=during)
    assert not done.result.get("failed") and done.result["changed"], done.result
    assert (done.result["deleted"], done.result["remaining"]) == (2, 1)
    assert "stored since are kept: 1" in done.warnings[0]


def test_a_refused_write_fails_the_task_with_the_servers_message(sim: Simulator) -> None:
    three(sim)
    for options in ({"state": "absent", "all": True}, FACT):
        sim.fault(match="^(POST|DELETE)", status=422, detail="unknown key kind", times=1)
        done = run_task(sim, **options)
        assert done.result["failed"] and not done.result["changed"] and "unknown key kind" in done.msg
        assert "ambiguous" not in done.result


# Servers that behave differently


def run_against(server: CrookedServer, module: str, *answers: Any, **options: Any) -> ModuleTask:
    """Run a task against a server that gives these answers, and repeats the last one."""
    left = list(answers)
    server.answer = lambda method, path, headers: Reply(left.pop(0) if len(left) > 1 else left[0])
    server.seen.clear()
    # Their records lack fields that are documented.
    return run_unchecked(server, module, instance_id="4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10", **options)


def listed(*memories: Any, **more: Any) -> dict[str, Any]:
    return {"memories": list(memories), "count": len(memories), "status": {}, **more}


def writes(crooked: CrookedServer) -> int:
    return sum(method != "GET" for method, _path, _headers in crooked.seen)


def test_a_list_with_unusual_items_is_read_and_counted(crooked: CrookedServer) -> None:
    odd = listed(None, "text", {"id": None, "content": None}, {"content": "x"}, {"id": 3})
    done = run_against(crooked, "instance_memory_info", odd)
    assert done.result["count"] == 3 and "2 of the 5 memories" in done.warnings[0]
    assert not run_against(crooked, "instance_memory", odd, content="x").result["changed"]
    done = run_against(crooked, "instance_memory", odd, {"deleted": 5}, listed(), state="absent", all=True)
    assert (done.result["deleted"], done.result["deleted_ids"], done.result["memories_before"]) == (5, ["3"], 5)
    done = run_against(crooked, "instance_memory", odd, state="absent", all=True, expect_count=3)
    assert done.result["failed"] and writes(crooked) == 0


def test_nothing_is_cleared_on_a_server_that_ignores_the_selection(crooked: CrookedServer) -> None:
    both = listed({"id": 1, "conversation_id": "a"}, {"id": 2, "conversation_id": "b"})
    done = run_against(crooked, "instance_memory", both, state="absent", conversation_id="a")
    assert done.result["failed"] and "also listed others (1 of 2)" in done.msg and writes(crooked) == 0


def test_a_server_that_cleared_more_than_was_selected_is_a_failure(crooked: CrookedServer) -> None:
    answers = (listed({"id": 1}), {"deleted": 40, "status": "ok"}, listed())
    done = run_against(crooked, "instance_memory", *answers, state="absent", conversation_id="a")
    assert done.result["failed"] and done.result["changed"] and "cleared 40 memories" in done.msg
    done = run_against(crooked, "instance_memory", *answers, state="absent", all=True)
    assert not done.result.get("failed") and "stored in between" in done.warnings[0]


@pytest.mark.parametrize(("deleted", "changed"), [(0, False), (1, True), (None, True)])
def test_a_server_that_cleared_nothing_is_a_failure(crooked: CrookedServer, deleted: int | None, changed: bool) -> None:
    one = listed({"id": 1})
    done = run_against(crooked, "instance_memory", one, {"deleted": deleted}, one, state="absent", all=True)
    assert done.result["failed"] and done.result["changed"] is changed
    assert "memories are still listed: 1 of 1" in done.msg and writes(crooked) == 1


@pytest.mark.parametrize(
    "broken",
    [listed(status={"available": False}), {"memories": "none"}, listed(count=12)],
    ids=["not available", "no list", "counts more than it lists"],
)
def test_a_list_that_may_be_incomplete_stops_storing_and_clearing(
    crooked: CrookedServer, broken: dict[str, Any]
) -> None:
    for options in ({"state": "absent", "all": True}, {"content": "x"}):
        done = run_against(crooked, "instance_memory", broken, **options)
        assert done.result["failed"] and not done.result["changed"] and writes(crooked) == 0


@pytest.mark.parametrize("answer", [{"memory": None}, {"memory": {"id": 1}}, {"status": "stored"}])
def test_a_stored_memory_is_read_back_if_the_answer_does_not_contain_it(
    crooked: CrookedServer, answer: dict[str, Any]
) -> None:
    row = {"id": 1, "content": "x"}
    done = run_against(crooked, "instance_memory", listed(), answer, listed(row), content="x")
    assert done.result["memory"] == row and done.warnings == []
    done = run_against(crooked, "instance_memory", listed(), answer, listed({"id": 1, "text": "x"}), content="x")
    assert done.result["changed"] and not done.result.get("failed") and "may store it again" in done.warnings[0]
    assert writes(crooked) == 1


# Reading


def test_all_memories_or_those_of_a_conversation_or_customer_are_read(sim: Simulator) -> None:
    three(sim)
    result = run_module(sim, "instance_memory_info", HOST).result
    assert not result["changed"] and result["memories"] == held(sim)
    assert (result["count"], result["truncated"], "slices" in result) == (3, False, False)
    assert result["status"]["available"] is True
    assert run_module(sim, "instance_memory_info", HOST, conversation_id="conv-1").result["count"] == 2
    assert run_module(sim, "instance_memory_info", HOST, customer_id="cust-2").result["count"] == 2
    assert run_module(sim, "instance_memory_info", HOST, customer_id="cust-2", check=True).result["count"] == 2
    assert posts(sim) == []


def test_a_full_list_is_reported_with_the_parts_that_can_be_listed(sim: Simulator) -> None:
    three(sim)
    result = run_module(sim, "instance_memory_info", HOST, limit=2).result
    assert result["truncated"] and result["slices"]["conversation_id"] == ["conv-1", "conv-2"]
    for limit in (0, 201):
        done = run_module(sim, "instance_memory_info", HOST, limit=limit)
        assert done.result["failed"] and "from 1 to 200" in done.msg
