# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads that the tasks of a machine share: with real processes, against a server that counts calls."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import connect
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._steps.shared_reads import SharedReads
from tests.second_api.api import KEY, SecondApi, second_api

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def api() -> Iterator[SecondApi]:
    with second_api(instances=3, latency={"get_fleet_update_policy": 0.2}, deploy_seconds=0.5) as running:
        yield running


def reads_of(api: SecondApi, key: str = KEY, **options: Any) -> SharedReads:
    return SharedReads(connect(api.url, key, retries=0), **options)


def at_once(tasks: int, work: Callable[[], Any]) -> list[Any]:
    """The results of ``work``, or the kinds of its ApiErrors, in ``tasks`` processes that start together."""
    gate, ended = FORK.Barrier(tasks), FORK.Queue()

    def one() -> None:
        gate.wait(60)
        try:
            ended.put(work())
        except ApiError as error:
            ended.put(error.kind)

    processes = [FORK.Process(target=one, daemon=True) for _dummy in range(tasks)]
    for process in processes:
        process.start()
    answers = [ended.get(timeout=120) for _dummy in processes]
    for process in processes:
        process.join(60)
    return answers


def test_eight_tasks_read_from_the_server_once_and_again_when_the_answer_is_too_old(api: SecondApi) -> None:
    answers = at_once(8, lambda: reads_of(api).policy(30)[0]["max_parallel_rollouts"])
    assert answers == [2] * 8
    assert len(api.called("get_fleet_update_policy")) == 1
    api.policy["max_parallel_rollouts"] = 7
    assert reads_of(api).policy(30)[0]["max_parallel_rollouts"] == 2
    time.sleep(0.05)
    assert reads_of(api).policy(0.01)[0]["max_parallel_rollouts"] == 7


def test_a_failed_read_is_not_shared_and_no_task_waits_for_the_others(api: SecondApi) -> None:
    api.quirks.answers["get_fleet_update_policy"] = lambda _answer: "no policy"
    answers = at_once(6, lambda: reads_of(api).policy()[0])
    assert answers == ["unexpected"] * 6
    del api.quirks.answers["get_fleet_update_policy"]
    assert reads_of(api).policy()[0]["max_parallel_rollouts"] == 2


def test_a_task_that_is_suspended_while_it_reads_does_not_block_the_others(api: SecondApi) -> None:
    """As when Ctrl-Z suspends a run in a terminal and another one is started."""
    stopped = FORK.Process(target=lambda: reads_of(api).policy(0), daemon=True)
    stopped.start()
    while not api.called("get_fleet_update_policy"):
        time.sleep(0.01)
    os.kill(stopped.pid or 0, signal.SIGSTOP)
    goes_on = threading.Timer(10, os.kill, (stopped.pid, signal.SIGCONT))
    goes_on.start()
    began = time.monotonic()
    reads = SharedReads(connect(api.url, KEY, retries=0, request_timeout=0.5))
    assert reads.policy(0)[0]["max_parallel_rollouts"] == 2
    assert time.monotonic() - began < 5
    goes_on.cancel()
    stopped.kill()
    stopped.join()


def test_nothing_is_shared_with_another_key_or_another_clock(api: SecondApi) -> None:
    reads_of(api).policy(30)
    reads_of(api, KEY, clock=lambda: 0.0).policy(30)
    assert len(api.called("get_fleet_update_policy")) == 2
    with pytest.raises(ApiError, match="401"):
        reads_of(api, "another-key").policy(30)


def test_the_file_is_readable_by_the_user_only_contains_no_key_and_may_be_damaged(
    api: SecondApi, own_folder: Path
) -> None:
    reads_of(api).rollouts()
    (seen,) = own_folder.glob("*/*.seen")
    assert seen.stat().st_mode & 0o777 == 0o600 and KEY not in seen.read_text()
    for text in ("", "[1]", '{"by": "somebody"', '{"by": "somebody", "policy": 1}'):
        seen.write_text(text)
        assert reads_of(api).last_rollouts() == []
        assert reads_of(api).policy(30)[0]["max_parallel_rollouts"] == 2


def test_one_page_is_read_unless_a_redeploy_beyond_it_is_still_open(api: SecondApi, own_folder: Path) -> None:
    old = api.add_rollout([api.instance("agent-001")], "instance", at=time.time() - 10)
    old["targets"][0]["ends"] = time.time() + 600
    reads = reads_of(api)
    assert old["id"] in [row["id"] for row in reads.rollouts(0)]
    for number in range(120):
        above = api.add_rollout([api.instance("agent-002")], "instance", ended=True, at=time.time() - 5 + number / 1000)
        if number == 60:
            above["targets"][0].update(ends=time.time() + 600, result="succeeded")
    api.calls.clear()
    listed = [row["id"] for row in reads.rollouts(0)]
    assert old["id"] in listed and len(listed) == 101
    assert reads.last_rollouts() == reads.rollouts(30)
    # The old redeploy has ended: from now on one page is enough.
    old["targets"][0]["ends"] = time.time() - 1
    reads.rollouts(0)
    api.calls.clear()
    assert len(reads.rollouts(0)) == 100
    assert len(api.called("list_fleet_rollouts")) == 1
    # After a reboot of the machine its clock restarts, so the complete list is read again.
    (seen,) = own_folder.glob("*/*.seen")
    kept = json.loads(seen.read_text())
    kept["rollouts"]["whole_at"] += 1e6
    seen.write_text(json.dumps(kept))
    api.calls.clear()
    reads_of(api).rollouts(0)
    assert len(api.called("list_fleet_rollouts")) > 1
