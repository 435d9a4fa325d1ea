# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a free Ansible worker, with real worker processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible.executor.process.worker import WorkerProcess

from ansible_collections.fleetops.agents.plugins.lookup.free_worker import LookupModule


class Worker(WorkerProcess):
    """Sleeps instead of running a task."""

    def __init__(self, seconds: float) -> None:
        super(WorkerProcess, self).__init__()
        self.seconds = seconds

    def run(self) -> None:
        time.sleep(self.seconds)


@pytest.fixture
def long_one() -> Iterator[Worker]:
    worker = Worker(600)
    worker.start()
    yield worker
    worker.kill()
    worker.join()


def test_the_wait_ends_with_the_first_finished_worker_and_takes_almost_no_cpu_time(long_one: Worker) -> None:
    short = Worker(2)
    short.start()
    assert LookupModule().run([], {"ansible_forks": 3}) == [0]
    assert short.is_alive(), "with a free worker there is nothing to wait for"
    before = time.process_time()
    assert LookupModule().run([], {"ansible_forks": 2}) == [0]
    assert time.process_time() - before < 0.2
    assert not short.is_alive() and long_one.is_alive()


def test_inside_a_worker_nothing_is_waited_for() -> None:
    assert LookupModule().run([], {"ansible_forks": 1}) == [0]
