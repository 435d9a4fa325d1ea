# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Many calls at once, each thread with its own client. A failure that would affect every call ends the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from operator import itemgetter
from types import TracebackType
from typing import Any, NamedTuple

from .._rules.answers import Record
from .client import FleetClient
from .errors import KEY_REFUSED, ApiError

# Kinds of errors after which every further call would fail too. So a wrong key is reported once, not 100 times.
HOPELESS = frozenset({"auth", "unreachable", "tls", "redirected", "wrong_path"})
# How many failures a message names.
_NAMED = 5

Call = Callable[[FleetClient], Any]


class NotCalled(NamedTuple):
    """The result of a call that was not made, because another call failed with a HOPELESS error."""


class Pool:
    """Threads that make calls, each with its own clone of one client.

    A context manager: at its end, calls that have not begun are dropped. ``hopeless``: whether a call has failed with a
    HOPELESS error. The answer of each further call is then NotCalled.
    """

    def __init__(self, client: FleetClient, workers: int) -> None:
        self._client = client
        self._clones: list[FleetClient] = []
        self._own = threading.local()
        self._hopeless = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=max(1, workers))

    @property
    def hopeless(self) -> bool:
        return self._hopeless.is_set()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for clone in self._clones:
            clone.close()

    def as_completed(self, calls: Iterable[Call]) -> Iterator[tuple[int, Any]]:
        """The position and the answer of each call, in the order in which they end.

        An answer is what the call returned, its ApiError, or NotCalled.
        """
        futures = {self._threads.submit(self._run, call): position for position, call in enumerate(calls)}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()

    def in_order(self, calls: Iterable[Call]) -> list[Any]:
        """The answers of :meth:`as_completed` in the order of the calls."""
        return [answer for _position, answer in sorted(self.as_completed(calls), key=itemgetter(0))]

    def _run(self, call: Call) -> Any:
        if self.hopeless:
            return NotCalled()
        if not hasattr(self._own, "client"):
            self._own.client = self._client.clone()
            self._clones.append(self._own.client)
        try:
            return call(self._own.client)
        except ApiError as failure:
            if failure.kind in HOPELESS:
                self._hopeless.set()
            return failure


def in_pool(client: FleetClient, calls: Sequence[Call], *, workers: int) -> list[Any]:
    """The answer of each call, in order: what it returned, its ApiError, or NotCalled after a HOPELESS error."""
    with Pool(client, workers) as pool:
        return pool.in_order(calls)


def read_each(
    client: FleetClient, instances: Mapping[str, Any], read: Callable[..., Record], *, workers: int
) -> dict[str, Record | None]:
    """The answer of ``read(client, instance_id=...)`` for each instance (names to ids), None if there was none.

    Raises the ApiError of a refused key or role.
    """
    calls = [partial(read, instance_id=str(instance_id)) for instance_id in instances.values()]
    answers = in_pool(client, calls, workers=workers)
    for answer in answers:
        if isinstance(answer, ApiError) and answer.kind in KEY_REFUSED:
            raise answer
    return {name: answer if isinstance(answer, dict) else None for name, answer in zip(instances, answers, strict=True)}


def failures(labels: Iterable[str], answers: Sequence[Any]) -> list[str]:
    """A phrase for each call that failed, and one with the number of calls that were not made afterwards.

    ``labels``: the names of the calls, in the order of ``answers``.
    """
    phrases = [
        f"{label}: {answer}" for label, answer in zip(labels, answers, strict=True) if isinstance(answer, ApiError)
    ]
    left_out = sum(isinstance(answer, NotCalled) for answer in answers)
    if left_out:
        phrases.append(f"{left_out} further call{'' if left_out == 1 else 's'} not made after that")
    return phrases


def in_one_phrase(phrases: Sequence[str]) -> str:
    """The first phrases of ``failures``, and how many more there are."""
    more = f"; and {len(phrases) - _NAMED} more" if len(phrases) > _NAMED else ""
    return f"{'; '.join(phrases[:_NAMED])}{more}"
