# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Admission with real processes and real locks: never more admitted than allowed, and nothing is left behind."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._steps import admission_locks
from ansible_collections.fleetops.agents.plugins.module_utils._steps.admission_locks import (
    Admission,
    AdmissionError,
    lock_folder,
)
from ansible_collections.fleetops.agents.plugins.module_utils._steps.admission_queue import Queue, try_lock

# As Ansible starts its workers.
FORK = multiprocessing.get_context("fork")
URL = "https://fleet.example.com"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def start() -> Iterator[Callable[..., BaseProcess]]:
    """Starts a process that ends with the test."""
    started: list[BaseProcess] = []

    def starts(work: Callable[..., None], *arguments: Any) -> BaseProcess:
        process = FORK.Process(target=work, args=arguments, daemon=True)
        process.start()
        started.append(process)
        return process

    yield starts
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


def enter_when_free(admission: Admission, look: Callable[[int], tuple[int, int]]) -> None:
    deadline = time.monotonic() + 120
    while not admission.enter(look):
        assert time.monotonic() < deadline, "never admitted"
        time.sleep(0.002)


def can_enter(look: Callable[[int], tuple[int, int]], url: str = URL) -> bool:
    """Whether one more process would be admitted now."""
    answer = FORK.Value("i", -1)

    def ask() -> None:
        admission = Admission(url)
        answer.value = int(admission.enter(look))
        admission.leave()

    process = FORK.Process(target=ask)
    process.start()
    process.join(120)
    assert answer.value in (0, 1), "the process failed"
    return bool(answer.value)


def _sit(ready: Any, allowed: int, url: str = URL) -> None:
    """Take a seat and keep it."""
    admission = Admission(url)
    enter_when_free(admission, lambda _seats: (0, allowed))
    ready.release()
    time.sleep(60)


def test_no_more_processes_are_admitted_than_allowed(start: Callable[..., BaseProcess]) -> None:
    inside, peak, rounds, looking = (FORK.Value("i", 0) for _dummy in range(4))
    collision = FORK.Value("i", 0)

    def look(_seats: int) -> tuple[int, int]:
        with looking.get_lock():
            looking.value += 1
            collision.value = max(collision.value, looking.value)
        time.sleep(0.001)
        with looking.get_lock():
            looking.value -= 1
        return 0, 3

    def work() -> None:
        for _round in range(6):
            admission = Admission(URL)
            enter_when_free(admission, look)
            with inside.get_lock():
                inside.value += 1
                peak.value = max(peak.value, inside.value)
            time.sleep(0.01)
            # On a busy machine, the other processes may not run for a while.
            deadline = time.monotonic() + 60
            while peak.value < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            with inside.get_lock():
                inside.value -= 1
                rounds.value += 1
            admission.leave()

    for process in [start(work) for _dummy in range(8)]:
        process.join(180)
    assert rounds.value == 48, "a process was never admitted, or failed"
    assert peak.value == 3
    assert collision.value == 1, "two processes read at once"


def test_redeploys_in_flight_on_the_server_count_whoever_started_them() -> None:
    assert not can_enter(lambda _seats: (2, 2))
    assert not can_enter(lambda _seats: (9, 2))
    assert can_enter(lambda _seats: (1, 2))
    assert not can_enter(lambda _seats: (0, 0))


def test_a_lowered_limit_applies_to_the_next_process(start: Callable[..., BaseProcess]) -> None:
    ready = FORK.Semaphore(0)
    seated = [start(_sit, ready, 3) for _dummy in range(3)]
    assert all(ready.acquire(timeout=120) for _dummy in seated)
    assert not can_enter(lambda _seats: (0, 3))
    assert can_enter(lambda _seats: (0, 4))
    for left in (2, 1):
        seated[left].kill()
        seated[left].join()
        assert not can_enter(lambda _seats: (0, 1))
    seated[0].kill()
    seated[0].join()
    assert can_enter(lambda _seats: (0, 1))


def test_a_killed_process_releases_its_seat(start: Callable[..., BaseProcess]) -> None:
    ready = FORK.Semaphore(0)
    victim = start(_sit, ready, 1)
    assert ready.acquire(timeout=120)
    assert not can_enter(lambda _seats: (0, 1))
    victim.kill()
    victim.join()
    assert can_enter(lambda _seats: (0, 1))


def test_a_process_that_is_killed_while_it_reads_does_not_block_the_others(start: Callable[..., BaseProcess]) -> None:
    ready = FORK.Semaphore(0)

    def hang() -> None:
        def look(_seats: int) -> tuple[int, int]:
            ready.release()
            time.sleep(60)
            return 0, 1

        Admission(URL).enter(look)

    victim = start(hang)
    assert ready.acquire(timeout=120)
    victim.kill()
    victim.join()
    assert can_enter(lambda _seats: (0, 1))


def test_waiting_processes_are_admitted_in_the_order_of_the_plan(
    start: Callable[..., BaseProcess], own_folder: Path
) -> None:
    ready, ended = FORK.Semaphore(0), FORK.Event()
    # A queue would be written to by a thread, and so in another order.
    admitted, entered = FORK.Pipe(duplex=False)

    def wait(place: int) -> None:
        admission = Admission(URL, Queue(own_folder / "stream-1.queue", place))
        admission.is_first()
        ready.release()
        while not (admission.is_first() and admission.enter(lambda _seats: (0, 1 if ended.is_set() else 0))):
            admission.pause(0.1, time.sleep)
        entered.send(place)
        admission.leave()

    # The last instance of the plan arrives first, and a killed process does not block the others.
    waiting = {place: start(wait, place) for place in (5, 3, 0, 4, 2)}
    for _process in waiting:
        assert ready.acquire(timeout=120)
    waiting[0].kill()
    waiting[0].join()
    ended.set()
    order = []
    while len(order) < 4 and admitted.poll(120):
        order.append(admitted.recv())
    assert order == [2, 3, 4, 5]


def test_a_process_joins_the_queue_although_another_one_checks_its_place_at_that_moment(
    start: Callable[..., BaseProcess], own_folder: Path
) -> None:
    path, checking = own_folder / "stream-1.queue", FORK.Event()

    def check() -> None:
        with path.open("w+") as file:
            assert try_lock(file.fileno(), 0, 5, fcntl.LOCK_SH)
            checking.set()
            time.sleep(0.2)

    start(check)
    assert checking.wait(120)
    assert Queue(path, 2).join()


def test_an_exception_while_reading_is_raised_and_leaves_no_lock() -> None:
    admission = Admission(URL)

    def look(_seats: int) -> tuple[int, int]:
        raise RuntimeError("no policy")

    with pytest.raises(RuntimeError, match="no policy"):
        admission.enter(look)
    assert can_enter(lambda _seats: (0, 1))
    admission.leave()


def test_leaving_releases_the_seat_and_may_be_repeated() -> None:
    admission = Admission(URL)
    assert admission.enter(lambda _seats: (0, 1))
    assert not can_enter(lambda _seats: (0, 1))
    admission.leave()
    admission.leave()
    assert can_enter(lambda _seats: (0, 1))
    assert admission.enter(lambda _seats: (0, 1))
    admission.leave()


@pytest.mark.parametrize("spelling", [URL + "/", URL + "/v1/instances", "HTTPS://Fleet.Example.com", f" {URL}/v1/ "])
def test_all_spellings_of_an_address_are_one_server(start: Callable[..., BaseProcess], spelling: str) -> None:
    ready = FORK.Semaphore(0)
    start(_sit, ready, 1, spelling)
    assert ready.acquire(timeout=120)
    assert not can_enter(lambda _seats: (0, 1))
    assert can_enter(lambda _seats: (0, 1), "https://other.example.com")


def test_only_the_user_can_access_the_lock_files(own_folder: Path) -> None:
    admission = Admission(URL)
    assert admission.enter(lambda _seats: (0, 1))
    (folder,) = own_folder.iterdir()
    (lock,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, lock.stat().st_mode & 0o777) == (0o700, 0o600)
    assert "example" not in lock.name
    admission.leave()


def test_an_unusable_folder_is_reported_in_a_sentence(own_folder: Path) -> None:
    name = own_folder / f"fleetops-agents-{os.geteuid()}"
    name.write_text("in the way")
    with pytest.raises(AdmissionError, match=f"the folder {name} for lock .*: File exists. Set XDG_RUNTIME_DIR to"):
        Admission(URL).enter(lambda _seats: (0, 1))
    name.unlink()

    (own_folder / "elsewhere").mkdir()
    name.symlink_to(own_folder / "elsewhere")
    with pytest.raises(AdmissionError, match=r"belongs to another user\. Set XDG_RUNTIME_DIR to"):
        Admission(URL).enter(lambda _seats: (0, 1))
    name.unlink()

    admission = Admission(URL)
    assert admission.enter(lambda _seats: (0, 1))
    admission.leave()
    (lock,) = name.iterdir()
    (own_folder / "target").touch()
    lock.unlink()
    lock.symlink_to(own_folder / "target")
    with pytest.raises(AdmissionError, match="cannot be opened"):
        Admission(URL).enter(lambda _seats: (0, 1))


def test_without_a_runtime_folder_the_temporary_one_is_used(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_locks, "_RUNTIME_FOLDERS", own_folder / "run")
    monkeypatch.setattr("tempfile.tempdir", str(own_folder / "tmp"))
    (own_folder / "tmp").mkdir()
    (own_folder / "file").touch()
    # Runs that are started in different folders would not share a relative one.
    monkeypatch.chdir(own_folder)
    for place in (*(str(own_folder / name) for name in ("gone", "file", "file/below", "n" * 300)), "tmp", "."):
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        assert lock_folder() == own_folder / "tmp" / f"fleetops-agents-{os.geteuid()}"


def test_a_login_session_and_a_cron_job_use_the_same_folder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = own_folder / "run" / str(os.geteuid())
    runtime.mkdir(parents=True)
    monkeypatch.setattr(admission_locks, "_RUNTIME_FOLDERS", own_folder / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    of_login = lock_folder()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert lock_folder() == of_login == runtime / f"fleetops-agents-{os.geteuid()}"
    # The folder of another user is not used.
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    (own_folder / "run" / "4000000").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(own_folder))
    with pytest.raises(AdmissionError, match=f"{own_folder}/fleetops-agents-4000000 belongs to another user"):
        lock_folder()


def test_a_missing_temporary_folder_is_reported_in_a_sentence(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(admission_locks, "_RUNTIME_FOLDERS", own_folder / "run")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(AdmissionError, match="no folder for lock files: No usable temporary directory found"):
        lock_folder()


def test_an_instance_is_claimed_by_one_task_until_it_leaves_or_dies(start: Callable[..., BaseProcess]) -> None:
    def claims(ready: Any) -> None:
        admission = Admission(URL)
        assert admission.claim("agent-1") and admission.claim("agent-1"), "a claim may be repeated"
        ready.release()
        time.sleep(60)

    ready = FORK.Semaphore(0)
    other = start(claims, ready)
    assert ready.acquire(timeout=120)
    ours = Admission(URL)
    assert not ours.claim("agent-1")
    assert ours.claim("agent-2")
    assert ours.enter(lambda _seats: (0, 1)), "a claim is no seat"
    other.kill()
    other.join()
    assert ours.claim("agent-1")
    ours.leave()


def test_a_released_place_wakes_one_of_the_waiting_processes(start: Callable[..., BaseProcess]) -> None:
    woken, entered, gone = FORK.Value("i", 0), FORK.Queue(), FORK.Event()
    ready, give_back = FORK.Semaphore(0), FORK.Event()

    def sit() -> None:
        admission = Admission(URL)
        assert admission.enter(lambda _seats: (0, 1)) and admission.claim("agent-1")
        ready.release()
        give_back.wait(120)
        admission.give_back()
        assert not admission.seated
        # The claim still exists.
        gone.wait(120)

    def wait() -> None:
        admission = Admission(URL)
        while not (admission.is_first() and admission.enter(lambda _seats: (0, 1))):
            ready.release()
            admission.pause(600, time.sleep)
            with woken.get_lock():
                woken.value += 1
        admission.give_up_first()
        entered.put(time.monotonic())
        time.sleep(60)

    start(sit)
    assert ready.acquire(timeout=120)
    waiting = [start(wait) for _dummy in range(3)]
    assert all(ready.acquire(timeout=120) for _dummy in waiting)
    time.sleep(1)
    assert woken.value == 0, "a process read although nothing had changed"
    before = time.monotonic()
    give_back.set()
    assert entered.get(timeout=120) - before < 30, "it waited for the end of its pause"
    assert not Admission(URL).claim("agent-1")
    time.sleep(1)
    assert entered.empty()
    gone.set()


def test_a_redeploy_that_is_already_listed_is_not_counted_twice(start: Callable[..., BaseProcess]) -> None:
    ready = FORK.Semaphore(0)

    def sit(name: str) -> None:
        admission = Admission(URL)
        enter_when_free(admission, lambda _seats: (0, 9))
        admission.found(name)
        ready.release()
        time.sleep(60)

    start(sit, "r-1")
    start(sit, "")
    assert ready.acquire(timeout=120) and ready.acquire(timeout=120)
    listed = FORK.Value("i", -1)

    def ask(in_flight: int, names: set[str]) -> bool:
        def work() -> None:
            admission = Admission(URL)
            listed.value = int(admission.enter(lambda _seats: (in_flight, 3), names.__contains__))

        process = start(work)
        process.join(120)
        return bool(listed.value)

    assert ask(0, set()), "two seats taken, three allowed"
    assert ask(1, {"r-1"}), "one listed, and one without a name"
    assert not ask(2, {"r-1"}), "both may be listed, or one of another user"
    assert not ask(1, {"r-2"})
