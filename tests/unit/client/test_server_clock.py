# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long ago something happened on the server, although a Date header has whole seconds."""

from __future__ import annotations

import time

from ansible_collections.fleetops.agents.plugins.module_utils._client.server_clock import ServerClock
from tests.unit.client.client_for import client_for
from tests.unit.client.crooked_server import crooked_server


def test_several_answers_give_the_servers_time_to_less_than_a_second_and_never_too_late() -> None:
    with crooked_server() as server:
        client, at = client_for(server.url), time.time()
        assert client.seconds_since(at) is None
        for _poll in range(24):
            client.get_fleet_update_policy()
            assert (client.seconds_since(at) or 0.0) <= time.time() - at
            time.sleep(0.05)
        assert time.time() - at - (client.seconds_since(at) or 0.0) < 0.3


def test_a_slow_answer_does_not_set_the_clock_back() -> None:
    clock = ServerClock()
    clock.learn(1000.0 - 10.0)
    clock.learn(1001.0 - 12.5)
    assert clock.seconds_since(1000.0, now=13.0) == 3.0


def test_a_server_clock_that_was_set_back_is_accepted() -> None:
    clock = ServerClock()
    clock.learn(1000.0 - 10.0)
    clock.learn(941.0 - 11.0)
    assert clock.seconds_since(940.0, now=12.0) == 2.0
    assert clock.seconds_since(1000.0, now=12.0) == 0.0
