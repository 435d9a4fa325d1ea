# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Many calls at once, each thread with a client of its own; a failure that would befall all of them ends the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .client import FleetClient
from .errors import ApiError

# After one of these every further call would fail alike: a wrong key is reported once, not 100 times.
HOPELESS = frozenset({"auth", "unreachable", "tls", "redirected", "wrong_path"})

Call = Callable[[FleetClient], Any]


class NotCalled(NamedTuple):
    """A call that was left out after a hopeless failure."""


def in_pool(client: FleetClient, calls: Sequence[Call], *, workers: int) -> list[Any]:
    """The answer of each call, in order: what it returned, its ApiError, or NotCalled after a hopeless one."""
    if not calls:
        return []
    hopeless = threading.Event()
    own = threading.local()
    clones: list[FleetClient] = []

    def run(call: Call) -> Any:
        if hopeless.is_set():
            return NotCalled()
        if not hasattr(own, "client"):
            own.client = client.clone()
            clones.append(own.client)
        try:
            return call(own.client)
        except ApiError as failure:
            if failure.kind in HOPELESS:
                hopeless.set()
            return failure

    pool = ThreadPoolExecutor(max_workers=max(1, min(workers, len(calls))))
    try:
        return list(pool.map(run, calls))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for clone in clones:
            clone.close()


def failures(labels: Iterable[str], answers: Sequence[Any]) -> list[str]:
    """A phrase for each call that failed; those that were left out afterwards are counted in one."""
    phrases = [
        f"{label}: {answer}" for label, answer in zip(labels, answers, strict=True) if isinstance(answer, ApiError)
    ]
    left_out = sum(isinstance(answer, NotCalled) for answer in answers)
    if left_out:
        phrases.append(f"{left_out} further call{'' if left_out == 1 else 's'} not made after that")
    return phrases
