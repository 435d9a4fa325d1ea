# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's client for an event loop: calls run in threads, and their number and rate are limited."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient, connect
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import NEWEST_FIRST, OLDEST_FIRST, order_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record

from .errors import SourceError, as_sentence
from .settings import Settings, as_source_error

log = logging.getLogger("fleetops.agents.eda.fleet")

T = TypeVar("T")
Fetch = Callable[[FleetClient, int, int], list[Record]]

# How many calls are made in parallel.
AT_ONCE = 4
# How many times a call is sent while the server asks to wait, and the longest pause (seconds) if it names no time.
ATTEMPTS, LONGEST_PAUSE = 6, 60.0
# How many pages of a list are read.
MAX_PAGES = 500
# How many consecutive pages may contain only known rows, which new rows above have moved down.
MAX_IDLE_PAGES = 20
# No list has this many rows. A server that returns rows at this offset ignores the offset.
FAR = 100_000


class Api:
    """Reads the instance ops API with at most ``max_rate`` calls per second. SourceError if it cannot be used."""

    def __init__(self, settings: Settings) -> None:
        try:
            with as_source_error():
                self._client = connect(
                    settings.api_url,
                    settings.api_key,
                    validate_certs=settings.validate_certs,
                    ca_path=settings.ca_path,
                    request_timeout=settings.request_timeout,
                    retries=0,
                    headers=settings.extra_headers,
                    read_only=True,
                )
        except ImportError as missing:
            raise SourceError(str(missing)) from None
        self._idle = [self._client]
        self._redactor = self._client.transport.redactor
        self._seconds_between_calls = 1 / settings.max_rate
        self._next_call = 0.0
        # The Date of the newest answer (epoch seconds), or this machine's time if the server sends none.
        self.server_time = time.time()
        self._warned: set[str] = set()
        # How many of the newest calls had no answer or were refused.
        self._failed = 0

    def close(self) -> None:
        for client in self._idle:
            client.close()

    async def call(self, read: Callable[[FleetClient], T]) -> T:
        """The result of ``read(client)``, without the key. It is called again while the server asks to wait.

        Raises SourceError for an error before the first answer that will not pass: a refused key or role, a redirect, a
        wrong address, an untrusted certificate or an invalid host name. Raises ApiError for any other error.
        """
        attempt = 1
        while True:
            await self._wait_for_turn()
            try:
                answer = await self._in_thread(lambda client: self._redactor.scrub(read(client)))
                self._failed = 0
                return answer
            except ApiError as error:
                self._failed = self._failed + 1 if error.status is None or is_refusal(error) else 0
                never_connects = error.kind in ("tls", "unreachable") and error.refused
                if (is_refusal(error) or never_connects) and not self._client.transport.answered.is_set():
                    raise SourceError(as_sentence(error)) from None
                if attempt == ATTEMPTS or not asks_to_wait(error):
                    raise
                # At least the usual pause, since the server may name a time that has passed.
                pause = max(min(2.0 ** (attempt - 1), LONGEST_PAUSE), error.retry_after or 0.0)
                log.info("%s %s: HTTP %s; all calls wait for %.0f s", error.method, error.path, error.status, pause)
                self._next_call = max(self._next_call, time.monotonic() + pause)
            attempt += 1

    async def pages(self, fetch: Fetch, size: int, start: int = 0) -> AsyncGenerator[list[Record], None]:
        """The rows of a list from offset ``start`` to its end, page by page, each row once.

        ``fetch(client, limit, offset)`` reads one page. A page without a new row is the end, unless rows that were
        added above have moved known ones onto it.
        """
        offset, seen, idle = start, set[str](), 0
        for _page in range(MAX_PAGES):
            answer = await self.call(lambda client, at=offset: fetch(client, size, at))  # type: ignore[misc]
            rows = {str(row["id"]): row for row in answer if row.get("id") is not None}
            fresh = [row for row_id, row in rows.items() if row_id not in seen]
            offset += len(answer)
            if fresh:
                seen |= rows.keys()
                idle = 0
                yield fresh
                continue
            idle += 1
            if not rows or idle > MAX_IDLE_PAGES:
                return
            if idle == 1 and await self.call(lambda client: bool(fetch(client, size, FAR))):
                return
        self.warn_once(f"A list has more than {MAX_PAGES} pages of {size} rows; the further ones are not read.")

    async def end_of(self, fetch: Fetch, size: int, known: int) -> int:
        """An offset at most ``size`` rows beyond the end of a list of at least ``known`` rows, found by bisection."""

        async def has_row_at(offset: int) -> bool:
            return await self.call(lambda client: bool(fetch(client, 1, offset)))

        low, step = known, size
        while await has_row_at(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > size:
            middle = (low + high) // 2
            low, high = (middle, high) if await has_row_at(middle) else (low, middle)
        return high

    def warn_once(self, problem: ApiError | str) -> None:
        """Log a failure that concerns only one instance or rollout, once as long as it is the same."""
        # The full message of an error contains the id of the request, which is different each time.
        same = str((problem.path, problem.status, problem.detail)) if isinstance(problem, ApiError) else problem
        if same not in self._warned:
            if len(self._warned) > 1000:
                self._warned.clear()
            self._warned.add(same)
            log.warning("%s Polling continues.", as_sentence(problem))

    def concerns_one_call(self, error: ApiError) -> bool:
        """Whether only this call failed, and calls about other instances or rollouts can succeed.

        A call without an answer counts too, as long as the server answers others: one agent may hang. So does a refused
        call, because a proxy may have refused it.
        """
        if error.status is None or is_refusal(error):
            return error.kind == "invalid" or self._failed <= AT_ONCE
        return not asks_to_wait(error)

    async def _wait_for_turn(self) -> None:
        while (wait := self._next_call - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        self._next_call = time.monotonic() + self._seconds_between_calls

    async def _in_thread(self, read: Callable[[FleetClient], T]) -> T:
        """Run ``read`` in its own thread, with a client that no other thread uses at the same time.

        The thread is a daemon. With asyncio.to_thread, the process could not end before the last call was answered.
        """
        client = self._idle.pop() if self._idle else self._client.clone()
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                answer = read(client)
                self.server_time = client.server_time or time.time()
            except Exception as problem:  # noqa: BLE001
                self._idle.append(client)
                future.set_exception(problem)
            else:
                self._idle.append(client)
                future.set_result(answer)

        threading.Thread(target=run, name="fleetops-call", daemon=True).start()
        return await asyncio.wrap_future(future)


def is_refusal(error: ApiError) -> bool:
    """Whether the server refuses the key or its role, or is not the API. A proxy may also answer so for a while."""
    return error.kind in ("auth", "forbidden", "redirected", "wrong_path")


def asks_to_wait(error: ApiError) -> bool:
    """Whether the server did not carry out the call and asks to repeat it later: status 429, or 503 with a time."""
    return error.kind == "rate_limited" or (error.kind == "unavailable" and error.retry_after is not None)


def is_newest_first(rows: Iterable[Record], *times: str) -> bool:
    return order_of(rows, times) == NEWEST_FIRST


def is_oldest_first(rows: Iterable[Record], *times: str) -> bool:
    return order_of(rows, times) == OLDEST_FIRST


async def for_each(items: Iterable[str], call: Callable[[str], Awaitable[None]]) -> None:
    """Call for each item, four at a time. The first exception ends all calls and is raised."""
    todo = iter(items)

    async def work() -> None:
        for item in todo:
            await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _worker in range(AT_ONCE):
                group.create_task(work())
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
