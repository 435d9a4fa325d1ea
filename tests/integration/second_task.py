# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules against the second API: one with pauses that take no time, or several at once, each in a process."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context, execute
from tests.integration.module_task import ModuleTask, operation_of
from tests.second_api.api import SecondApi
from tests.simulator.running import Simulator

# As Ansible makes its workers.
FORK = multiprocessing.get_context("fork")


def _context(
    api: Any, module: str, host: str, options: Mapping[str, Any], done: ModuleTask, check: bool, **clock: Any
) -> Context:
    operation = operation_of(module)
    given = {"api_url": api.url, "api_key": api.admin_key, **options}
    if operation.on_instance and "instance_id" not in given:
        given["instance_id"] = api.instance(host).id
    checked = ArgumentSpecValidator(operation.argument_spec(), **operation.rules).validate(given)
    assert not checked.error_messages, checked.error_messages
    return Context(checked.validated_parameters, check_mode=check, warn=done.warnings.append, **clock)


def run_second(
    api: SecondApi,
    module: str,
    host: str = "agent-001",
    /,
    *,
    check: bool = False,
    real: bool = False,
    done: ModuleTask | None = None,
    **options: Any,
) -> ModuleTask:
    """Run one task. Each of its pauses takes 30 ms and is only recorded, in ``done``, unless ``real``."""
    done = done or ModuleTask()

    def sleep(seconds: float) -> None:
        done.pauses.append(seconds)
        time.sleep(0.03)

    clock = {} if real else {"clock": lambda: sum(done.pauses), "sleep": sleep}
    context = _context(api, module, host, options, done, check, **clock)
    done.result = execute(operation_of(module), context, diff_mode=True)
    return done


def run_at_once(api: SecondApi | Simulator, tasks: list[tuple[str, str, Mapping[str, Any]]]) -> list[ModuleTask]:
    """Run the tasks (module, host, options) at the same moment, each in a process; their results in the same order."""
    gate, ended = FORK.Barrier(len(tasks)), FORK.Queue()

    def work(place: int, module: str, host: str, options: Mapping[str, Any]) -> None:
        done = ModuleTask()
        context = _context(api, module, host, options, done, False)
        gate.wait(60)
        done.result = execute(operation_of(module), context, diff_mode=True)
        ended.put((place, done))

    workers = [FORK.Process(target=work, args=(place, *task), daemon=True) for place, task in enumerate(tasks)]
    for worker in workers:
        worker.start()
    ends = dict(ended.get(timeout=120) for _dummy in workers)
    for worker in workers:
        worker.join(20)
    return [ends[place] for place in range(len(tasks))]


def killed_at(api: SecondApi, module: str, moment: Callable[[], bool], **options: Any) -> None:
    """Run one task in a process of its own, and kill it (SIGKILL) as soon as ``moment()`` is true."""

    def work() -> None:
        execute(operation_of(module), _context(api, module, "agent-001", options, ModuleTask(), False))

    victim = FORK.Process(target=work, daemon=True)
    victim.start()
    deadline = time.monotonic() + 60
    while not moment() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert moment()
    victim.kill()
    victim.join()


def when(moment: Callable[[], bool], act: Callable[[], Any]) -> threading.Thread:
    """Call ``act()`` in a thread as soon as ``moment()`` is true."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while not moment() and time.monotonic() < deadline:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread
