# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One pass of notifications: reads the facts, sends what is due and records the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console.notifications.due import Plan, plan
from console.notifications.facts import CONDITIONS
from console.notifications.message import Message, message
from console.notifications.read_facts import facts
from console.notifications.rules import Rules
from console.notifications.send import IsDown, NotSent, Send
from console.record.file_locks import NOTIFIER, only_one
from console.record.read.ledgers import ledger
from console.record.rows import FAILED, GAVE_UP, SENDING, SENT, Notification
from console.record.write.ledgers import open_notifications
from console.text.counts import counted


@dataclass(frozen=True)
class NotifyReport:
    """What a pass did. sent: destination and message. not_sent: destination, message and reason. gave_up: ledger rows
    whose message is not sent again. quiet, paused: as in due.Plan. is_busy: another process is sending, so nothing was
    done."""

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
            return "another process is sending the notifications of this database, so nothing was sent"
        parts = [f"{counted(len(self.sent), 'message')} sent"]
        parts += [f"{len(self.not_sent):,} not sent"] * bool(self.not_sent)
        parts += [f"{self.quiet:,} held back until the quiet hours end"] * bool(self.quiet)
        parts += [f"{self.paused:,} to be tried again later"] * bool(self.paused)
        return ", ".join(parts)

    @property
    def problems(self) -> list[str]:
        """What was not sent and why, one sentence each."""
        failed = [f"{name}: {content.title!r} was not sent. {why}" for name, content, why in self.not_sent]
        lost = []
        for row in self.gave_up:
            how = f"the last attempt failed: {row.error}" if row.outcome == FAILED else "two attempts were interrupted"
            lost.append(f"{row.destination}: {row.title!r} will not be sent again; {how.rstrip('.')}.")
        return failed + lost


def due_now(database: Path, rules: Rules, now: float) -> tuple[Plan, list[tuple[str, Message]]]:
    """What would be sent at ``now`` (epoch seconds, UTC): the plan, and the messages by destination.

    Nothing is written or sent. Raises DatabaseProblem.
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
) -> NotifyReport:
    """Send what is due at ``now`` (epoch seconds, UTC). Each message is recorded before and after it is sent.

    ``send``: a function that ``send.sender`` returned. ``before_each``: called before each message; if it raises, the
    remaining messages are due the next time. Raises DatabaseProblem, also if the database is a copy for review.
    """
    with open_notifications(database) as store, only_one(database, NOTIFIER) as is_alone:
        if not is_alone:
            return NotifyReport(is_busy=True)
        found, messages = due_now(database, rules, now)
        store.change(found.give_up, outcome=GAVE_UP, ended_at=now)
        store.change(found.over, over_at=now)
        sent, not_sent, paused, down = [], [], found.paused, set[str]()
        for due, (name, content) in zip(found.due, messages, strict=True):
            if name in down:
                # It stays due. Waiting for the same server again would only delay the other destinations.
                paused += len(due.facts)
                continue
            before_each()
            rows = [
                Notification(name, *fact.identity, fact.at, fact.title[:200], due.since, SENDING) for fact in due.facts
            ]
            store.begin(rows, now)
            try:
                send(name, content)
            except NotSent as error:
                store.change(rows, outcome=FAILED, ended_at=now, error=str(error))
                not_sent.append((name, content, str(error)))
                if isinstance(error, IsDown):
                    down.add(name)
            else:
                store.change(rows, outcome=SENT, ended_at=now, error=None)
                sent.append((name, content))
    return NotifyReport(tuple(sent), tuple(not_sent), found.give_up, found.quiet, paused)
