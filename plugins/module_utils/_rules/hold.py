# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A hold: a file or an address by which a person or a monitor pauses a rolling run. Pure.

While a run is held nothing is started. What is under way goes on to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .durations import duration
from .gate import FAIL, HOLD, INCONCLUSIVE, PASS, Check

NAME = "hold"
_HELD, _FREE = 200, 404


# So many looks in a row that show nothing, before it is inconclusive.
MOST_UNKNOWN = 4


@dataclass(frozen=True)
class Reading:
    """What a look at the hold showed: ``held`` is None if it cannot be told. ``said`` is a phrase about the source."""

    held: bool | None
    said: str


def is_address(source: str) -> bool:
    """Whether the hold is an address of HTTP, and not a file."""
    return source.lower().startswith(("http://", "https://"))


def problem_of(source: str) -> str:
    """Why ``source`` can be no hold, as a phrase; empty if it can."""
    if not is_address(source):
        if source.startswith(("/", "~/")):
            return ""
        # What looks like an address may hold a password.
        said = "it" if "@" in source or "://" in source else repr(source)
        return f"{said} is neither an absolute path (/run/fleetops/hold) nor an address (https://...)"
    try:
        parts = urlsplit(source)
        host, _port = parts.hostname, parts.port
    except ValueError:
        # The text of the error has a part of the address, which may be a password.
        return "it is no address: its host or its port cannot be read"
    if not host:
        return "the address names no host"
    if parts.username is not None or parts.password is not None:
        return "the address must not hold a user name or a password: it is read without credentials"
    return ""


def shown(source: str) -> str:
    """The source as messages name it: of an address without its query, which may hold a token."""
    if not is_address(source):
        return f"the file {source}"
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def of_status(source: str, status: int) -> Reading:
    """What the HTTP status of an address says: 200 holds, 404 does not, and any other says nothing."""
    if status == _HELD:
        return Reading(True, shown(source))
    if status == _FREE:
        return Reading(False, shown(source))
    return Reading(None, f"{shown(source)} answered HTTP {status}, which is neither 200 (hold) nor 404 (continue)")


def judge(reading: Reading, *, waited: float, timeout: float) -> Check:
    """May something be started? ``hold``: not now, ask again. ``waited``, ``timeout``: seconds that the run was held,
    and may be held."""
    facts = {"waited_seconds": round(max(0.0, waited), 1)}
    if reading.held is None:
        return Check(NAME, INCONCLUSIVE, f"It is not known whether the run is held: {reading.said}.", facts)
    if not reading.held:
        return Check(NAME, PASS, f"The run is not held ({reading.said}).", facts)
    if waited >= timeout:
        return Check(
            NAME,
            FAIL,
            f"The run was held for {duration(waited)} by {reading.said}, and it waits for {duration(timeout)} at most. "
            "What was not started is not touched. Lift the hold, and start the run again.",
            facts,
        )
    return Check(
        NAME,
        HOLD,
        f"The run is held by {reading.said}. Nothing is started while it is, for {duration(timeout)} at most.",
        facts,
    )


@dataclass(frozen=True)
class Looks:
    """What looks at a hold have shown one after the other.

    ``at``: when the last one was. ``since``: the first one after which nothing was started, None if something may be.
    ``unknown``: how many of the last ones showed nothing. ``seconds``: for how long nothing was started in all.
    """

    reading: Reading
    at: float
    since: float | None = None
    unknown: int = 0
    seconds: float = 0.0

    @classmethod
    def after(cls, before: Looks | None, reading: Reading, at: float) -> Looks:
        """The looks with one more at ``at`` (seconds, of any clock that does not stop)."""
        since, unknown, seconds = (None, 0, 0.0) if before is None else (before.since, before.unknown, before.seconds)
        if before is not None and since is not None:
            seconds += max(0.0, at - before.at)
        free = reading.held is False
        return cls(
            reading,
            at,
            since=None if free else at if since is None else since,
            unknown=unknown + 1 if reading.held is None else 0,
            seconds=seconds,
        )

    def check(self, timeout: float) -> Check:
        """As judge, but what cannot be told is inconclusive only once it could not be told several times."""
        waited = 0.0 if self.since is None else self.at - self.since
        check = judge(self.reading, waited=waited, timeout=timeout)
        if check.verdict == INCONCLUSIVE and self.unknown < MOST_UNKNOWN:
            return Check(NAME, HOLD, f"{check.reason} It will be checked again.", check.facts)
        return check
