# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The files of a stream of redeploys, beside the admission locks: its rules, and what its tasks record for each other.

rollout_gate writes the rules before the stream begins, or before each of its batches. Each task appends a line when its
redeploy has been found, and when the task ends. Only this module collects the facts that decide an admission.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from .._client.client import FleetClient
from .._client.errors import KEY_REFUSED, ApiError
from .._client.pool import read_each
from .._module.operation import Context
from .._rules import gate, hold
from .._rules.admission import STOP, Decision, Facts, Marks, admission_decision, ends_of
from .._rules.answers import Record, in_flight, is_single_target, rollout_is_terminal
from .._rules.freezes import Freezes
from .._rules.ids import id_key
from .admission_locks import AdmissionError, lock_folder
from .admission_queue import Queue
from .hold import read_hold
from .state_folder import replace_text
from .target_follow import shared_reads

# When a stream begins, files of other streams that were last written longer ago than this (seconds) are removed.
_ABANDONED = 7 * 86400.0

# Only the last bytes of the marks are read: enough for many more redeploys than one page of rollouts shows.
_MARKS_BYTES = 65536
_LOST = (
    "The files that the tasks of this run share, in the folder of the locks on this machine, cannot be read or"
    " written (is its disk full?). The same command continues with what is left"
)


class NotAdmittedError(Exception):
    """No further redeploy of the stream is sent. ``decision`` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("; ".join(decision.reasons))
        self.decision = decision


class Stream:
    """The stream ``run`` on this machine. Methods that decide raise NotAdmittedError, and those that call the API raise
    ApiError."""

    def __init__(self, run: str) -> None:
        self._run = run

    @classmethod
    def of(cls, context: Context) -> Stream | None:
        """The stream that the task belongs to, from its option ``stream``; None without it and in check mode."""
        if not context.params.get("stream"):
            return None
        if context.params.get("admission") == "none":
            context.fail("stream cannot be used with admission=none: its rules are checked at the admission.")
        if (place := context.params["stream"]["place"]) is not None and place < 0:
            context.fail(f"stream.place is {place}: it must be 0 or more.")
        return None if context.check_mode else cls(context.params["stream"]["run"])

    def queue(self, context: Context) -> Queue | None:
        """The order in which the tasks that wait are admitted; None if the task has no place in it."""
        place = context.params["stream"]["place"]
        try:
            return None if place is None else Queue(self._path("queue"), place)
        except AdmissionError as failure:
            return context.fail(f"{context.instance_first} was not redeployed: {failure}.")

    # Written by the gate

    def begin(self, rules: Mapping[str, Any]) -> None:
        """Write the rules: max_failed, window_margin, override, freezes, stall_timeout, most, updated, hold and its
        hold_timeout and hold_interval, min_healthy_share, health_interval, workers, sample (names to ids) and fleet
        (the number of instances that the sample was taken from). Raises AdmissionError."""
        folder = lock_folder()
        newest: dict[str, float] = {}
        files = list(folder.glob("stream-*"))
        for file in files:
            with contextlib.suppress(OSError):
                newest[file.stem] = max(newest.get(file.stem, 0.0), file.stat().st_mtime)
        for file in files:
            # In a stream that is still running, the file with the rules is old, but the marks are not.
            if time.time() - newest.get(file.stem, 0.0) > _ABANDONED:
                with contextlib.suppress(OSError):
                    file.unlink()
        try:
            replace_text(self._path("rules"), json.dumps(rules, default=str), f".{os.getpid()}")
            for kind in ("marks", "failed", "stop"):
                self._path(kind).touch(mode=0o600)
        except OSError as failure:
            raise AdmissionError(f"the rules of the run cannot be stored in {folder}: {failure.strerror}") from None

    # Written by the tasks

    def record(self, context: Context, word: str, **facts: Any) -> None:
        """Record for the other tasks what this one did: ``started`` with ``rollout``, ``done`` or ``failed``."""
        mark = {"word": word, "name": str(context.params["stream"]["name"]), **facts}
        self._append("failed" if word == "failed" else "marks", mark)

    def marks(self) -> Marks:
        """What the tasks have written so far. All failures, but only the newest starts and ends: the server's list of
        rollouts shows no older ones."""
        started, done, changed = {}, set(), False
        for mark in self._lines("marks", _MARKS_BYTES):
            if mark["word"] == "started":
                started[mark["name"]] = mark["rollout"]
            else:
                done.add(mark["name"])
                changed = changed or mark.get("changed") is True
        failed = dict.fromkeys(mark["name"] for mark in self._lines("failed"))
        return Marks(started, frozenset(done), tuple(failed), changed)

    def raise_if_stopped(self) -> None:
        """Raises NotAdmittedError if another task has already stopped the stream."""
        for stop in self._lines("stop"):
            raise NotAdmittedError(Decision(STOP, 0, stop["worst"], stop["reasons"]))

    # Read before each redeploy

    def has_others_open(self, context: Context, *, max_age: float) -> bool:
        """Whether redeploys are in progress that this stream did not start, by a list at most ``max_age`` seconds old.

        One of them may be that of the task's instance.
        """
        own = set(self.marks().started.values())
        with self._inconclusive_without():
            rows = shared_reads(context).rollouts(max_age)
        return any(
            is_single_target(row) and not rollout_is_terminal(row) and id_key(str(row.get("id"))) not in own
            for row in rows
        )

    def decision(self, context: Context, *, max_age: float) -> tuple[Decision, int]:
        """Whether the task's redeploy may be sent now, and how many redeploys are in flight on the server, by a policy
        and a list of rollouts that are at most ``max_age`` seconds old.

        Raises NotAdmittedError if the stream stops.
        """
        self.raise_if_stopped()
        with self._inconclusive_without():
            facts = self._facts(context, self.marks(), max_age)
        found = admission_decision(facts)
        if found.word == STOP:
            self._stop(found)
        return found, facts.in_flight

    def _stop(self, decision: Decision) -> NoReturn:
        """Stop the stream. The reason is written down first, so that the other tasks stop too."""
        self._append("stop", {"worst": decision.worst, "reasons": decision.reasons})
        raise NotAdmittedError(decision)

    @contextlib.contextmanager
    def _inconclusive_without(self) -> Iterator[None]:
        """Stop the stream if a read in the block fails, as a gate does. A refused key is an error of the task."""
        try:
            yield
        except ApiError as error:
            if error.kind in KEY_REFUSED:
                raise
            self._stop(Decision(STOP, 0, gate.INCONCLUSIVE, [str(error)]))

    def _facts(self, context: Context, marks: Marks, max_age: float) -> Facts:
        rules, reads = self._rules(), shared_reads(context)
        policy, server_time = reads.policy(max_age)
        rows = reads.rollouts(max_age)
        failed, unsure = ends_of(marks, rows)
        return Facts(
            policy=policy,
            now=time.time() if server_time is None else server_time,
            rollouts=rows,
            most=rules["most"],
            in_flight=in_flight(rows),
            names={rollout_id: name for name, rollout_id in marks.started.items()},
            failed=failed,
            unsure=unsure,
            max_failed=rules["max_failed"],
            needs=context.params["stream"]["needs"],
            margin=rules["window_margin"],
            started=rules["updated"] or bool(marks.started) or marks.changed,
            override=rules["override"],
            freezes=Freezes.of(rules["freezes"]),
            stall_timeout=rules["stall_timeout"],
            health=self.stored_health(),
            hold=None if (held := self._hold_reads()) is None else held.check(rules["hold_timeout"]),
        )

    def _rules(self) -> Record:
        try:
            return dict(json.loads(self._path("rules").read_text(encoding="utf-8")))
        except (OSError, ValueError, AdmissionError):
            raise NotAdmittedError(Decision(STOP, 0, gate.INCONCLUSIVE, [f"{_LOST}."])) from None

    # The hold

    def refresh_hold(self, context: Context) -> None:
        """Read the hold, unless it was read in the last hold_interval seconds."""
        rules, before, now = self._rules(), self._hold_reads(), time.monotonic()
        if rules["hold"] is None or (before is not None and 0 <= now - before.at < rules["hold_interval"]):
            return
        reads = hold.Reads.after(before, read_hold(rules["hold"], context.params), now)
        self._keep("hold", asdict(reads))

    def seconds_held(self) -> float:
        """For how many seconds in total the hold has prevented the stream from sending, by the reads so far."""
        reads = self._hold_reads()
        return 0.0 if reads is None else reads.seconds

    def _hold_reads(self) -> hold.Reads | None:
        try:
            kept = json.loads(self._path("hold").read_text(encoding="utf-8"))
            return hold.Reads(**{**kept, "reading": hold.Reading(**kept["reading"])})
        except (OSError, ValueError, TypeError, KeyError, AdmissionError):
            return None

    # The share of healthy instances

    def refresh_health(self, context: Context) -> None:
        """Read the stored health (E16) of the sample, unless it was read in the last health_interval seconds, or is
        read by the gate alone. Only the first waiting task calls it."""
        rules = self._rules()
        interval = rules["health_interval"] if rules["min_healthy_share"] else None
        if interval is None or self.stored_health(interval) is not None:
            return
        readings = read_each(context.client, rules["sample"], FleetClient.get_deep_health, workers=rules["workers"])
        self.store_health(gate.health_share(readings, rules["min_healthy_share"], rules["fleet"]))

    def store_health(self, check: gate.Check) -> None:
        """Store the check of a health sample that was taken now."""
        self._keep("health", {"verdict": check.verdict, "reason": check.reason, **check.facts})

    def stored_health(self, max_age: float | None = None) -> gate.Check | None:
        """The check of the newest health sample; None if there is none, or it is ``max_age`` seconds old or older."""
        try:
            path = self._path("health")
            age = time.time() - path.stat().st_mtime
            seen = json.loads(path.read_text(encoding="utf-8"))
            is_new = max_age is None or 0 <= age < max_age
            return gate.Check("health", seen.pop("verdict"), seen.pop("reason"), seen) if is_new else None
        except (OSError, ValueError, KeyError, AdmissionError):
            return None

    # Files

    def _path(self, kind: str) -> Path:
        return lock_folder() / f"stream-{self._run}.{kind}"

    def _keep(self, kind: str, reading: Mapping[str, Any]) -> None:
        """Replace a reading that the rules use. Without it they would pass, so a failure to write ends the stream."""
        try:
            replace_text(self._path(kind), json.dumps(reading), f".{os.getpid()}")
        except (OSError, AdmissionError):
            self._end_without_rules()

    def _end_without_rules(self) -> None:
        """Remove the rules, without which no task of the stream starts."""
        with contextlib.suppress(OSError, AdmissionError):
            self._path("rules").unlink(missing_ok=True)

    def _append(self, kind: str, mark: Mapping[str, Any]) -> None:
        """Append one line with a single write, so that the lines of several tasks do not mix. A failure or a stop that
        cannot be written, as on a full disk, ends the stream."""
        line = f"{json.dumps(mark)}\n".encode()
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path(kind), flags)
            try:
                is_written = os.write(descriptor, line) == len(line)
            finally:
                os.close(descriptor)
        except (OSError, AdmissionError):
            is_written = False
        if not is_written and kind != "marks":
            self._end_without_rules()

    def _lines(self, kind: str, newest: int | None = None) -> list[Record]:
        """The complete lines in the last ``newest`` bytes of a file (None: in all of it). Raises NotAdmittedError if it
        cannot be read."""
        try:
            with self._path(kind).open("rb") as file:
                if newest is not None:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - newest))
                lines = file.read().splitlines()
        except (OSError, AdmissionError):
            raise NotAdmittedError(Decision(STOP, 0, gate.INCONCLUSIVE, [f"{_LOST}."])) from None
        found = []
        for line in lines:
            # The first line may have been cut off at its start.
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [mark for mark in found if isinstance(mark, dict)]
