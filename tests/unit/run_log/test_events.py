# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events of a run: their times, their lines, and how results are stored in them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.events import Clock, Parent, recap_since
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.log_file import LogFile
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.masks import Masks
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import is_kept_whole, storable_result
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.writer import EventWriter

LIMIT = 65536
REDACTOR = Redactor(["the-key-of-the-fleet"])
STARTED = datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.UTC)
DECADES = st.integers(0, 4_102_444_800_000_000)


@given(st.lists(DECADES, min_size=1, max_size=5), st.integers(0, 999_999))
def test_times_are_iso_8601_for_any_order_of_calls(instants: list[int], later: int) -> None:
    clock = Clock()
    for micros in [*instants, instants[-1] // 1_000_000 * 1_000_000 + later]:
        same, text = clock.at(micros)
        parsed = datetime.datetime.fromisoformat(text)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        assert (same, (parsed - epoch) // datetime.timedelta(microseconds=1)) == (micros, micros)
        assert len(text) == len("2026-11-24T10:00:00.000000+00:00")


def test_an_event_has_its_own_data_and_that_of_its_parent_and_its_uuid_twice(tmp_path: Path) -> None:
    writer = EventWriter(log_file := LogFile(tmp_path, "run-1", STARTED), "run-1", Masks(), Clock())
    writer.write("playbook_on_start", Parent(None, {"playbook": "site.yml"}), {"fleetops_run": {}}, event_uuid="p")
    task = Parent("t", {"playbook": "site.yml", "task": "Café \ud800"}, loop=["a"])
    writer.write("runner_on_start", task, {"host": "agent-001"}, created="2026-11-24T10:00:00.000001+00:00")
    writer.write("playbook_on_no_hosts_remaining", task)
    writer.close()
    first, second, third = (json.loads(line) for line in log_file.path.read_text(encoding="ascii").splitlines())
    assert first["event_data"] == {"playbook": "site.yml", "fleetops_run": {}, "uuid": "p"}
    assert (first["uuid"], first.get("parent_uuid"), first["runner_ident"]) == ("p", None, "run-1")
    assert (second["parent_uuid"], second["created"]) == ("t", "2026-11-24T10:00:00.000001+00:00")
    assert second["event_data"] == {**task.data, "host": "agent-001", "uuid": second["uuid"]}
    assert third["event_data"] == {**task.data, "uuid": third["uuid"]}
    assert [first["counter"], second["counter"], third["counter"]] == [1, 2, 3]
    assert len({first["uuid"], second["uuid"], third["uuid"]}) == 3


def test_an_event_that_cannot_be_written_leaves_no_gap_in_the_counters(tmp_path: Path) -> None:
    writer = EventWriter(log_file := LogFile(tmp_path, "run-1", STARTED), "run-1", Masks(), Clock())
    parent = Parent("p", {})
    writer.write("runner_on_start", parent)
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.write("runner_on_ok", parent, {"res": float("nan")})
    writer.dropped += 1
    writer.write("runner_on_ok", parent)
    writer.close()
    lines = [json.loads(line) for line in log_file.path.read_text().splitlines()]
    assert [(line["counter"], line.get("dropped_events")) for line in lines] == [(1, None), (2, 1)]


def test_the_recap_of_a_playbook_leaves_out_the_counts_of_earlier_playbooks_of_the_command() -> None:
    names = ("changed", "dark", "failures", "ignored", "ok", "processed", "rescued", "skipped")
    none: dict[str, dict[str, int]] = {name: {} for name in names}
    before = {**none, "ok": {"a": 3, "b": 1}, "processed": {"a": 1, "b": 1}}
    now = {**none, "ok": {"a": 5, "b": 1}, "failures": {"c": 1}, "processed": {"a": 1, "b": 1, "c": 1}}
    assert recap_since(before, now) == {**none, "ok": {"a": 2}, "failures": {"c": 1}, "processed": {"a": 1, "c": 1}}
    assert recap_since({}, before) == before


def test_a_result_that_json_cannot_represent_keeps_its_status_and_ids() -> None:
    endless: dict[str, Any] = {"changed": True, "rollout_id": "r-1", "rate": float("nan")}
    assert storable_result(endless, "runner_on_ok", LIMIT, REDACTOR) == {
        "changed": True,
        "rollout_id": "r-1",
        "truncated": True,
    }
    assert storable_result({"changed": False, "waited_seconds": float("nan")}, "runner_on_ok", LIMIT, REDACTOR) == {
        "changed": False
    }
    assert storable_result(None, "runner_on_ok", LIMIT, REDACTOR) is None


def test_values_in_ansibles_own_types_are_stored_like_native_ones() -> None:
    """Results that are not stored completely are read before ansible-core converts them to native types."""
    from ansible.parsing.dataloader import DataLoader

    loaded = DataLoader().load("{rollout_id: a word, rc: 0, attempts: 2.5, action_id: 2026-01-02, adopted: true}")
    copied = {"rollout_id": "a word", "rc": 0, "attempts": 2.5, "action_id": datetime.date(2026, 1, 2), "adopted": True}
    for result in (loaded, copied):
        assert not is_kept_whole(result, "runner_on_ok")
        assert storable_result(result, "runner_on_ok", LIMIT, REDACTOR) == {
            "rollout_id": "a word",
            "rc": 0,
            "attempts": 2.5,
            "adopted": True,
        }


def test_censored_results_are_never_stored_completely() -> None:
    for event in ("runner_on_failed", "runner_on_ok"):
        assert not is_kept_whole({"changed": True, "_ansible_no_log": True, "msg": "x"}, event)
        assert not is_kept_whole({"changed": True, "censored": "x"}, event)
