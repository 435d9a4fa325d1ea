# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of an event's text: together they are the JSON of the whole, and times are those of datetime."""

from __future__ import annotations

import datetime
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.lines import Clock, head, members
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import (
    dump,
    is_kept_whole,
    kept_result,
    result_text,
)

LIMIT = 65536
REDACTOR = Redactor(["the-key-of-the-fleet"])
DECADES = st.integers(0, 4_102_444_800_000_000)
data = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)


@given(data, data, st.none() | st.uuids().map(str))
def test_parts_together_are_the_json_of_the_whole(
    common: dict[str, Any], own: dict[str, Any], parent: str | None
) -> None:
    made = head(parent, members(common, REDACTOR))
    text = f'{{{made.text}{members(own, REDACTOR)}"uuid":"u"}}}}'
    whole = {"event_data": {**common, **own, "uuid": "u"}}
    assert json.loads(text) == (whole | {"parent_uuid": parent} if parent else whole)


@given(st.lists(DECADES, min_size=1, max_size=5), st.integers(0, 999_999))
def test_times_are_iso_8601_in_any_order(instants: list[int], later: int) -> None:
    clock = Clock()
    for micros in [*instants, instants[-1] // 1_000_000 * 1_000_000 + later]:
        same, text = clock.told(micros)
        told = datetime.datetime.fromisoformat(text)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        assert (same, (told - epoch) // datetime.timedelta(microseconds=1)) == (micros, micros)
        assert len(text) == len("2026-11-24T10:00:00.000000+00:00")


@given(
    st.sampled_from([False, True, 0, 1, None, "no", 0.0]), st.dictionaries(st.sampled_from(["rc", "msg"]), st.none())
)
def test_short_cuts_say_what_the_long_way_says(changed: Any, more: dict[str, Any]) -> None:
    result = {"changed": changed, **more}
    for event in ("runner_on_ok", "runner_on_failed", "runner_item_on_ok"):
        assert result_text(result, event, LIMIT, REDACTOR) == dump(
            kept_result(result, event, LIMIT, REDACTOR), REDACTOR
        )


def test_what_json_cannot_say_leaves_status_and_ids() -> None:
    endless: dict[str, Any] = {"changed": True, "rollout_id": "r-1", "rate": float("nan")}
    assert json.loads(result_text(endless, "runner_on_ok", LIMIT, REDACTOR)) == {
        "changed": True,
        "rollout_id": "r-1",
        "truncated": True,
    }
    assert result_text(None, "runner_on_ok", LIMIT, REDACTOR) == "null"


def test_of_data_in_ansibles_own_types_the_same_is_kept_as_of_its_native_copy() -> None:
    """Results that are not kept whole are read before ansible-core makes native types of them."""
    from ansible.parsing.dataloader import DataLoader

    loaded = DataLoader().load("{rollout_id: a word, rc: 0, attempts: 2.5, action_id: 2026-01-02, adopted: true}")
    copied = {"rollout_id": "a word", "rc": 0, "attempts": 2.5, "action_id": datetime.date(2026, 1, 2), "adopted": True}
    for result in (loaded, copied):
        assert not is_kept_whole(result, "runner_on_ok")
        assert json.loads(result_text(result, "runner_on_ok", LIMIT, REDACTOR)) == {
            "rollout_id": "a word",
            "rc": 0,
            "attempts": 2.5,
            "adopted": True,
        }


def test_censored_results_are_never_kept_whole() -> None:
    for event in ("runner_on_failed", "runner_on_ok"):
        assert not is_kept_whole({"changed": True, "_ansible_no_log": True, "msg": "x"}, event)
        assert not is_kept_whole({"changed": True, "censored": "x"}, event)
