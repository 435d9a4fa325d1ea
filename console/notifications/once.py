# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pass of notifications: read the facts, send what is due, note how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console.notifications.due import Due, Plan, plan
from console.notifications.facts import CONDITIONS
from console.notifications.message import Message, message
from console.notifications.reading import facts
from console.notifications.rules import Rules
from console.notifications.send import NotSent, Send
from console.record.file_locks import NOTIFIER, only_one
from console.record.read.ledgers import ledger
from console.record.rows import FAILED, SENDING, SENT, Notification
from console.record.write.ledgers import Notifications, open_notifications
from console.text.counts import counted


@dataclass(frozen=True)
class Report:
    """What a pass did. sent: destination and message. not_sent: destination, message and why. gave_up: rows of the
    ledger that are not tried again. quiet, paused: as in due.Plan. is_busy: another process sends at this moment, so
    nothing was done."""

    sent: tuple[tuple[str, Message], ...] = ()
    not_sent: tuple[tuple[str, Message, str], ...] = ()
    gave_up: tuple[Notification, ...] = ()
    quiet: int = 0
    paused: int = 0
    is_busy: bool = False

    @property
    def summary(self) -> str:
        """What was done, for people, without a full stop."""
        if self.is_busy:
            return "another process sends notifications of this database, so nothing was sent"
        parts = [f"{counted(len(self.sent), 'message')} sent"]
        parts += [f"{len(self.not_sent):,} not sent"] * bool(self.not_sent)
        parts += [f"{self.quiet:,} wait for the end of the quiet hours"] * bool(self.quiet)
        parts += [f"{self.paused:,} wait for the next attempt"] * bool(self.paused)
        return ", ".join(parts)

    @property
    def problems(self) -> list[str]:
        """What was not sent and why, one sentence each."""
        failed = [f"{name}: {told.title!r} was not sent. {why}" for name, told, why in self.not_sent]
        lost = []
        for row in self.gave_up:
            how = f"the last attempt said: {row.error}" if row.outcome == FAILED else "two attempts were interrupted"
            lost.append(f"{row.destination}: {row.title!r} is not tried again; {how.rstrip('.')}.")
        return failed + lost


def due_now(database: Path, rules: Rules, now: float) -> tuple[Plan, list[tuple[str, Message]]]:
    """What would be sent at ``now`` (epoch seconds, UTC): the plan, and the messages by destination.

    Nothing is written and nobody is called. Raises DatabaseProblem.
    """
    known = ledger(database, now, CONDITIONS)
    found = plan(rules, facts(database, rules, known, now), known, now)
    return found, [(due.destination, message(due, rules.console_url)) for due in found.due]


def notify_once(
    database: Path,
    rules: Rules,
    now: float,
    send: Send,
    *,
    before_each: Callable[[], None] = lambda: None,
) -> Report:
    """Send what is due at ``now`` (epoch seconds, UTC), each message noted before and after.

    ``send``: what calls the destinations, as ``send.sender`` makes it. ``before_each``: called before each message; if
    it raises, what is left is due the next time. Raises DatabaseProblem, for a database that is a copy for review too.
    """
    with open_notifications(database) as noted, only_one(database, NOTIFIER) as is_alone:
        if not is_alone:
            return Report(is_busy=True)
        found, messages = due_now(database, rules, now)
        noted.give_up(found.give_up, now)
        noted.over(found.over, now)
        sent, not_sent = [], []
        for due, (_name, told) in zip(found.due, messages, strict=True):
            before_each()
            why = _send(noted, due, told, now, send)
            if why:
                not_sent.append((due.destination, told, why))
            else:
                sent.append((due.destination, told))
    return Report(tuple(sent), tuple(not_sent), found.give_up, found.quiet, found.paused)


def _send(noted: Notifications, due: Due, told: Message, now: float, send: Send) -> str:
    """Send one message; why it failed, '' if it did not."""
    rows = [
        Notification(due.destination, *fact.identity, fact.at, fact.title[:200], due.since, SENDING)
        for fact in due.facts
    ]
    noted.begin(rows, now)
    try:
        send(due.destination, told)
    except NotSent as error:
        noted.end(rows, FAILED, now, str(error))
        return str(error)
    noted.end(rows, SENT, now)
    return ""
