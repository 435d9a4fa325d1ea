# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An endless answer, or one compressed to a thousandth, takes little memory and is reported in a sentence."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.body import MAX_BYTES
from tests.unit.client.client_for import ONE, client_for, failure
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A valid JSON text of 300 MiB, in less than half a MiB."""
    return gzip.compress(b" " * (300 * MIB) + b"{}", compresslevel=1)


@pytest.fixture
def server(bomb: bytes) -> Iterator[CrookedServer]:
    with crooked_server() as room:
        room.answer = lambda method, path, headers: Reply(bomb, headers={"Content-Encoding": "gzip"})
        yield room


def test_a_read_with_a_large_answer_fails_with_a_sentence_and_is_not_repeated(server: CrookedServer) -> None:
    tracemalloc.start()
    try:
        error = failure(client_for(server.url, retries=3), "get_fleet_update_policy")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (error.kind, error.status, error.ambiguous) == ("unreadable", 200, False)
    assert "failed with HTTP 200: the answer has more than 64 MiB" in str(error)
    assert len(server.seen) == 1
    assert peak < 2.5 * MAX_BYTES, peak


def test_a_write_with_a_large_answer_is_sent_once_and_its_outcome_is_unknown(server: CrookedServer) -> None:
    error = failure(client_for(server.url, retries=3), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous) == ("unreadable", True)
    assert "the answer has more than 64 MiB. Whether the server carried it out is unknown" in str(error)
    assert len(server.seen) == 1


def test_a_refusal_with_a_large_body_stays_a_refusal(server: CrookedServer, bomb: bytes) -> None:
    server.answer = lambda method, path, headers: Reply(bomb, 403, {"Content-Encoding": "gzip"})
    error = failure(client_for(server.url), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous, error.detail) == ("forbidden", False, "the answer has more than 64 MiB")


def test_an_answer_of_the_maximum_size_is_read(server: CrookedServer) -> None:
    body = json.dumps({"max_parallel_rollouts": 3}).encode()
    full = body + b" " * (MAX_BYTES - len(body))
    server.answer = lambda method, path, headers: Reply(gzip.compress(full, 1), headers={"Content-Encoding": "gzip"})
    client = client_for(server.url)
    assert client.get_fleet_update_policy() == {"max_parallel_rollouts": 3}
    server.answer = lambda method, path, headers: Reply(full + b" ")
    assert failure(client, "get_fleet_update_policy").kind == "unreadable"
    # The next call of the same client gets an answer of its own.
    server.says({"max_parallel_rollouts": 4})
    assert client.get_fleet_update_policy() == {"max_parallel_rollouts": 4}
