# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the run log keeps of results: never a secret, never more than the limit, always valid JSON."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import (
    CENSORED,
    core_result,
    dump,
    kept_result,
)

SECRET = "the-key-of-the-fleet"
REDACTOR = Redactor([SECRET])
EVENTS = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_item_on_ok", "runner_item_on_failed")
LIMIT = 65536

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from([SECRET, f"before {SECRET} after", SECRET * 3, "é" * 3000, '"\\' * 2000, f"{'x' * 1020}{SECRET}"]),
)
keys = st.one_of(
    texts,
    st.sampled_from(["msg", "error", "stdout", "changed", "failed", "results", "invocation", "module_args", "item"]),
    st.sampled_from(["rollout_id", "instance_id", "password", "ansible_facts", "exception", "_ansible_no_log"]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
results = st.dictionaries(keys, values, max_size=8)


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(keys_of(item) for item in value))
    return set()


@given(results, st.sampled_from(EVENTS), st.sampled_from([1024, 4096, LIMIT]))
def test_a_stored_result_has_no_secret_no_arguments_and_at_most_the_maximum_length(
    result: dict[str, Any], event: str, limit: int
) -> None:
    before = dump(result, REDACTOR)
    kept = kept_result(result, event, limit, REDACTOR)
    text = dump(kept, REDACTOR)
    assert SECRET not in text
    assert json.loads(text) == kept
    # The core result is bounded by its known keys, not by the limit.
    assert len(text) <= max(limit, len(dump(core_result(result, REDACTOR), REDACTOR)) + len(',"truncated":true'))
    assert not keys_of(kept) & {"invocation", "module_args", "ansible_facts"}
    assert dump(result, REDACTOR) == before, "other callbacks use the same result"


@given(results)
def test_only_scalars_of_an_unchanged_result_are_kept(result: dict[str, Any]) -> None:
    kept = kept_result({**result, "changed": False}, "runner_on_ok", LIMIT, REDACTOR)
    assert all(value is None or isinstance(value, (bool, int, float, str)) for value in kept.values())
    assert not set(kept) & {"msg", "stdout", "item", "results", "error"}


def test_the_ids_of_the_modules_are_kept() -> None:
    result = {
        "changed": False,
        "rollout_id": "r-1",
        "skipped": 3,
        "waited_seconds": 1.5,
        "rollout": {"a": 1},
        "msg": "x",
    }
    kept = kept_result(result, "runner_on_ok", LIMIT, REDACTOR)
    assert kept == {"changed": False, "skipped": 3, "rollout_id": "r-1", "waited_seconds": 1.5}


def test_a_long_result_keeps_message_error_and_ids() -> None:
    error = {"kind": "server", "status": 502, "api_key": "whatever"}
    result = {"changed": True, "stdout": "y" * 10**6, "msg": f"no: {SECRET}", "error": error, "rollout_id": "r-1"}
    kept = kept_result(result, "runner_on_failed", 4096, REDACTOR)
    assert kept["truncated"] is True
    assert kept["msg"] == "no: ********"
    assert kept["error"] == {"kind": "server", "status": 502, "api_key": "********"}
    assert kept["rollout_id"] == "r-1"
    assert kept["stdout"].startswith("yyyy")
    assert 2048 < len(dump(kept, REDACTOR)) <= 4096


@pytest.mark.parametrize("offset", range(1300, 1420, 7))
def test_a_secret_at_the_end_of_a_shortened_text_is_masked_completely(offset: int) -> None:
    kept = kept_result({"changed": True, "msg": "z" * offset + SECRET + "z" * 10**5}, "runner_on_ok", 2048, REDACTOR)
    assert not any(SECRET[:n] in kept["msg"] for n in range(3, len(SECRET)))


def test_censored_items_only_show_that_they_changed() -> None:
    hidden = {"_ansible_no_log": True, "changed": True, "item": "hidden", "stdout": "hidden", "exception": "hidden"}
    kept = kept_result(
        {"changed": True, "results": [hidden, {"changed": False, "item": "seen"}]}, "runner_on_ok", LIMIT, REDACTOR
    )
    assert kept == {"changed": True, "results": [{"censored": CENSORED, "changed": True}, {"changed": False}]}
    assert kept_result(hidden, "runner_item_on_failed", LIMIT, REDACTOR) == {"censored": CENSORED, "changed": True}


def test_types_that_json_does_not_have_are_converted() -> None:
    class Vaulted:
        _ciphertext = "$ANSIBLE_VAULT;1.1;AES256"

        def __str__(self) -> str:
            raise AssertionError("decrypted")

    class Undefined:
        def __str__(self) -> str:
            raise ValueError("undefined")

    class Speaking:
        def __str__(self) -> str:
            return f"said {SECRET}"

    at = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    value = {"v": Vaulted(), "u": Undefined(), "s": Speaking(), "d": at, "set": {1}, "b": b"\xff" + SECRET.encode()}
    assert json.loads(dump(value, REDACTOR)) == {
        "v": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"},
        "u": "<Undefined>",
        "s": "said ********",
        "d": "2026-01-02T00:00:00+00:00",
        "set": [1],
        "b": "\ufffd********",
    }


def test_tagged_values_of_ansible_become_plain_json() -> None:
    from ansible.parsing.dataloader import DataLoader

    loaded = DataLoader().load("{text: a word, list: [1, 2.5], date: 2026-01-02, none: null}")
    kept = kept_result({**loaded, "changed": True}, "runner_on_ok", LIMIT, REDACTOR)
    assert json.loads(dump(kept, REDACTOR)) == {
        "text": "a word",
        "list": [1, 2.5],
        "date": "2026-01-02",
        "none": None,
        "changed": True,
    }
