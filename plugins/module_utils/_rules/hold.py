# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A hold: a file or an address by which a person or a monitor pauses a rolling run. Pure.

While a run is held, nothing is started, and what has started continues to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .durations import duration
from .gate import FAIL, HOLD, INCONCLUSIVE, PASS, Check

NAME = "hold"
_HELD, _FREE = 200, 404


# The check is inconclusive after this many consecutive reads that did not show whether the run is held.
MAX_UNKNOWN = 4


@dataclass(frozen=True)
class Reading:
    """One read of the hold. ``held``: None if it is not known. ``said``: a phrase about the source, or the problem."""

    held: bool | None
    said: str


def is_address(source: str) -> bool:
    """Whether the hold is an HTTP address, and not a file."""
    return source.lower().startswith(("http://", "https://"))


def problem_of(source: str) -> str:
    """Why ``source`` cannot be a hold, as a phrase; empty if it can."""
    if not is_address(source):
        if source.startswith(("/", "~/")):
            return ""
        # A text that looks like an address may contain a password.
        said = "it" if "@" in source or "://" in source else repr(source)
        return f"{said} is neither an absolute path (/run/fleetops/hold) nor an address (https://...)"
    try:
        parts = urlsplit(source)
        host, _port = parts.hostname, parts.port
    except ValueError:
        # The message of the exception contains a part of the address, which may be a password.
        return "it is not a valid address: its host or its port cannot be read"
    if not host:
        return "the address has no host"
    if parts.username is not None or parts.password is not None:
        return "the address must not contain a user name or a password: it is read without credentials"
    return ""


def shown(source: str) -> str:
    """The source as messages show it. The query of an address is left out, because it may contain a token."""
    if not is_address(source):
        return f"the file {source}"
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def of_status(source: str, status: int) -> Reading:
    """The meaning of the HTTP status of an address: 200 is held, 404 is not held, and any other is unknown."""
    if status == _HELD:
        return Reading(True, shown(source))
    if status == _FREE:
        return Reading(False, shown(source))
    return Reading(None, f"{shown(source)} answered HTTP {status}, which is neither 200 (hold) nor 404 (continue)")


def judge(reading: Reading, *, waited: float, timeout: float) -> Check:
    """Whether something may be started. The verdict ``hold`` means: not now, but the hold must be read again.

    ``waited``: for how many seconds the run was held. ``timeout``: for how many it may be held.
    """
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
            "The remaining instances are not changed. Lift the hold, and start the run again.",
            facts,
        )
    return Check(
        NAME,
        HOLD,
        f"The run is held by {reading.said}. Nothing is started while it is, for {duration(timeout)} at most.",
        facts,
    )


@dataclass(frozen=True)
class Reads:
    """The result of all reads of a hold so far.

    ``reading``: the latest one. ``at``: when that was. ``since``: since when nothing may be started; None if something
    may be. ``unknown``: how many of the latest reads, in a row, did not show whether the run is held. ``seconds``: for
    how long in total nothing could be started.
    """

    reading: Reading
    at: float
    since: float | None = None
    unknown: int = 0
    seconds: float = 0.0

    @classmethod
    def after(cls, before: Reads | None, reading: Reading, at: float) -> Reads:
        """``before`` with one more read. ``at``: its time in seconds, by any clock that does not stop."""
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

    @property
    def waited(self) -> float:
        """For how many seconds nothing could be started, up to the latest read."""
        return 0.0 if self.since is None else self.at - self.since

    def check(self, timeout: float) -> Check:
        """As ``judge``, but an unknown result is inconclusive only after MAX_UNKNOWN consecutive ones."""
        check = judge(self.reading, waited=self.waited, timeout=timeout)
        if check.verdict == INCONCLUSIVE and self.unknown < MAX_UNKNOWN:
            return Check(NAME, HOLD, f"{check.reason} It will be checked again.", check.facts)
        return check
