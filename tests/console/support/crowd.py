# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many concurrent visitors of a console, each opening one page after another, while syncs write to its database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.console.support.served import CHECKOUT, Served
from tests.console.support.visitor import Visitor


@dataclass(frozen=True)
class Stop:
    """A page to visit. ``heading`` is the beginning of a heading of the page, which must also show the queried id."""

    path: str
    query: str
    heading: str


@dataclass
class Crowd:
    """The result of the visits.

    ``seconds``: the times of the pages by heading. ``troubles``: a sentence for each page that did not arrive or showed
    an error. ``cpu``: CPU seconds of the server. ``grown``: growth of its resident memory in bytes, with all sessions
    still connected.
    """

    sessions: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    grown: int = 0

    @property
    def arrived(self) -> list[float]:
        """The times of all pages that arrived, in ascending order."""
        return sorted(one for times in self.seconds.values() for one in times)


def visit_all(
    server: Served, stops: Sequence[Stop], *, sessions: int, turns: int, pause: float = 0.0, timeout: float = 60.0
) -> Crowd:
    """Start ``sessions`` visitors at once. Each opens ``turns`` pages, with ``pause`` seconds between them.

    The visitors begin at different ``stops``. A live page is also refreshed once, as its browser tab would do.
    """
    crowd, lock = Crowd(sessions), threading.Lock()
    ready, done, leave = threading.Barrier(sessions + 1), threading.Barrier(sessions + 1), threading.Event()

    def session(number: int) -> None:
        try:
            with Visitor(server.url, timeout) as visitor:
                ready.wait()
                for turn in range(turns):
                    open_page(visitor, stops[(number + turn) % len(stops)])
                    time.sleep(pause)
                done.wait()
                leave.wait()
        except threading.BrokenBarrierError:
            # Another session failed and has reported it.
            pass
        except Exception as error:
            with lock:
                crowd.troubles.append(f"session {number}: {type(error).__name__}: {error}")
            ready.abort()
            done.abort()

    def open_page(visitor: Visitor, stop: Stop) -> None:
        visit = visitor.open(stop.path, stop.query)
        seen = [visit]
        if visit.fragment_id:
            seen.append(visitor.refresh(visit, stop.path, stop.query))
        with lock:
            crowd.seconds.setdefault(stop.heading, []).extend(each.seconds for each in seen)
            crowd.troubles += [f"{stop.heading}: {error}" for each in seen for error in each.errors]
            headed = any(heading.startswith(stop.heading) for heading in visit.headings)
            if not headed or stop.query.rpartition("id=")[2] not in "\n".join(visit.texts):
                crowd.troubles.append(f"{stop.heading} did not arrive, but {visit.headings} {visit.texts[:2]} did")

    memory, cpu, begun = server.memory(), server.cpu(), time.monotonic()
    threads = [threading.Thread(target=session, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    try:
        ready.wait()
        done.wait()
    except threading.BrokenBarrierError:
        pass
    crowd.wall, crowd.cpu, crowd.grown = time.monotonic() - begun, server.cpu() - cpu, server.memory() - memory
    leave.set()
    for thread in threads:
        thread.join()
    return crowd


@dataclass
class Syncs:
    """The syncs that ran meanwhile: the number that succeeded, and the errors of the others."""

    count: int = 0
    troubles: list[str] = field(default_factory=list)


@contextmanager
def syncing(database: Path, run_logs: Path, environment: Mapping[str, str], pause: float = 1.0) -> Iterator[Syncs]:
    """Run ``python -m console sync`` repeatedly, with ``pause`` seconds in between, until the block ends."""
    syncs, stop = Syncs(), threading.Event()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FLEETOPS_")}
    own = {"FLEETOPS_CONSOLE_DB": str(database), "FLEETOPS_RUN_LOG_DIR": str(run_logs)}

    def run() -> None:
        while not stop.is_set():
            ended = subprocess.run(
                [sys.executable, "-m", "console", "sync", "--quiet", "--details"],
                cwd=CHECKOUT,
                env={**kept, **own, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            if ended.returncode:
                syncs.troubles.append(f"sync ended with {ended.returncode}: {ended.stderr.strip()}")
            else:
                syncs.count += 1
            stop.wait(pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield syncs
    finally:
        stop.set()
        thread.join()
