# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations as table rows and as cards, for Overview and Operations."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from console.outcomes.words import CATEGORIES, CHECK, COMPLETE, RUNNING, UPDATED, WAITING, started_by, title, word
from console.web import pages
from console.web.shared import markup, viewer


def segments(row: dict[str, Any]) -> list[markup.Segment]:
    """The parts of the outcome bar: one for each category that has instances, with a link to these."""
    found = []
    for category in filter(row.get, CATEGORIES):
        # In the address, a run in check mode has the same word as any other.
        href = markup.address(pages.OPERATION, id=row["key"], operation_outcome=word(category, row["name"]))
        found.append(markup.Segment(category, row[category], outcome_word(category, row), href))
    return found


def outcome_word(category: str, row: dict[str, Any]) -> str:
    """The outcome of an instance of an operation as a word: 'updated', or 'would be updated' in check mode."""
    done = word(category, row["name"])
    return f"would be {done}" if row.get("check") is True and category == UPDATED else done


def outcome(row: dict[str, Any]) -> Markup:
    """The outcome as a bar with numbers."""
    parts = segments(row)
    if not parts:
        return markup.small("no instances")
    text = ", ".join(f"{part.count:,} {part.word}" for part in parts)
    return Markup('<div class="fo-outcome-cell">{}{}</div>').format(markup.stacked_bar(parts, text), markup.small(text))


def by_whom(row: dict[str, Any]) -> str:
    """Like ``started_by``, with a preposition: 'by ops', 'from 198.51.100.7'."""
    who = started_by(row)
    return who if who.startswith("from ") else f"by {who}"


def statuses(row: dict[str, Any]) -> list[str]:
    """The status, and whether it was a run in check mode."""
    return list(dict.fromkeys((row["status"], CHECK) if row["check"] is True else (row["status"],)))


def _title_and_verdict(row: dict[str, Any]) -> Markup:
    badges = (markup.badge(word) for word in statuses(row) if not word.startswith(COMPLETE))
    return markup.joined((markup.operation(title(row), row["key"]), *badges), " ")


_CLAMPED = Markup('<span class="fo-clamp" title="{0}">{0}</span>')
COLUMNS = (
    markup.when("started", "started_at"),
    markup.Column("operation", _title_and_verdict, "title"),
    markup.Column("outcome", outcome, "outcome"),
    markup.Column("started by", started_by, "who fo-rest"),
    markup.Column("why it ended", lambda row: _CLAMPED.format(row["why"] or ""), "long fo-rest"),
    markup.duration("took", "seconds"),
)


def running_card(row: dict[str, Any], running: str, progress: str, gate: str) -> Markup:
    """The card of an operation in progress. Each text is empty if there is nothing to show.

    ``running``: the instances in progress. ``progress``: how far the operation is. ``gate``: the last gate.
    """
    started = viewer.day_moment(row["started_at"])
    first = markup.head(
        markup.badge(RUNNING),
        markup.operation(title(row), row["key"]),
        # Not how long it took so far, which ends at the last sync.
        markup.small(by_whom(row) + (f", started {started} ({viewer.ago(row['started_at'])})" if started else "")),
        Markup('<span class="fo-end fo-small">{}</span>').format(progress) if progress else markup.NOTHING,
    )
    parts = segments(row)
    done = sum(part.count for part in parts if part.status not in (RUNNING, WAITING))
    label = f"{done:,} of {int(row['instances']):,} done"
    below = [markup.paragraph(markup.small(line)) for line in (running, gate) if line]
    return markup.card(RUNNING, first, markup.stacked_bar(parts, label), markup.legend(parts), *below)
