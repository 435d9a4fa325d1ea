# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simultaneous calls: answers as they arrive or in order, and what ends the remaining calls."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import connect
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled, Pool, in_pool


def client() -> Any:
    """A client with which these tests call no server."""
    return connect("https://fleet.example.com", "key")


def refused(kind: str) -> ApiError:
    return ApiError(kind, "GET", "/v1/instances")


def test_answers_arrive_as_they_are_ready_or_in_order_if_requested() -> None:
    second_is_done = threading.Event()

    def first(_client: Any) -> str:
        assert second_is_done.wait(30)
        return "first"

    def second(_client: Any) -> str:
        return "second"

    with Pool(client(), 2) as pool:
        answers = []
        for position, answer in pool.as_completed([first, second]):
            answers.append((position, answer))
            second_is_done.set()
        assert answers == [(1, "second"), (0, "first")]
        assert pool.in_order([first, second]) == ["first", "second"]


def test_each_thread_has_its_own_client_which_later_calls_reuse() -> None:
    given = client()
    with Pool(given, 1) as pool:
        used = [*pool.in_order([lambda one: one] * 3), *pool.in_order([lambda one: one])]
    assert len(set(map(id, used))) == 1 and used[0] is not given


@pytest.mark.parametrize(("kind", "left_out"), [("auth", True), ("not_found", False)])
def test_a_failure_that_applies_to_every_call_ends_the_remaining_and_later_calls(kind: str, left_out: bool) -> None:
    def fails(_client: Any) -> None:
        raise refused(kind)

    def answers(_client: Any) -> str:
        return "answer"

    with Pool(client(), 1) as pool:
        failure, *rest = pool.in_order([fails, answers, answers])
        assert failure.kind == kind and pool.hopeless == left_out
        assert rest + pool.in_order([answers]) == [NotCalled() if left_out else "answer"] * 3


def test_calls_that_have_not_started_are_not_made_if_the_answers_cannot_be_used() -> None:
    made = []
    go_on = threading.Event()

    def call(_client: Any) -> None:
        made.append(1)
        if len(made) > 1:
            go_on.wait(30)

    def use() -> None:
        with Pool(client(), 1) as pool:
            for _position, _answer in pool.as_completed([call] * 50):
                threading.Timer(0.2, go_on.set).start()
                raise OSError("the database is gone")

    with pytest.raises(OSError, match="the database is gone"):
        use()
    assert len(made) <= 2


def test_without_calls_there_are_no_answers() -> None:
    assert in_pool(client(), [], workers=4) == []
