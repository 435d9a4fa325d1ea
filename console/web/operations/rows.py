# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations as table rows and as cards, for Overview and Operations."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from console.outcomes.words import CATEGORIES, COMPLETE, RUNNING, UPDATED, WAITING, word
from console.text import times
from console.web.shared import markup, pages, viewer


def title(row: dict[str, Any]) -> str:
    """What was done, with the version where it is known: 'rolling_redeploy to 2026.8.0'."""
    version = row.get("to_version")
    return f"{row['title']} to {version}" if isinstance(version, str) and version else str(row["title"])


def segments(row: dict[str, Any]) -> list[markup.Segment]:
    """The parts of an outcome bar, one for each category with instances, with links to the instances of each."""
    found = []
    for category in CATEGORIES:
        count = row.get(category)
        if count is None or math.isnan(count) or not count:
            continue
        label = word(category, row["name"])
        href = markup.address(pages.OPERATION, id=row["key"], operation_outcome=label)
        if row.get("check") is True and category == UPDATED:
            label = f"would be {label}"
        found.append(markup.Segment(category, int(count), label, href))
    return found


def outcome(row: dict[str, Any]) -> Markup:
    """The outcome as a bar with its numbers."""
    parts = segments(row)
    if not parts:
        return markup.small("no instance")
    text = ", ".join(f"{one.count:,} {one.word}" for one in parts)
    return Markup('<div class="fo-outcome-cell">{}{}</div>').format(markup.stacked_bar(parts, text), markup.small(text))


def by(row: dict[str, Any]) -> str:
    """Who started it. Of a rollout that no recorded run started only the address is known: 'from 198.51.100.7'."""
    who = row["who"] or "unknown"
    return f"from {who}" if row["kind"] == "rollout" and row["who"] else str(who)


def by_whom(row: dict[str, Any]) -> str:
    """As ``by``, with the preposition: 'by ops', 'from 198.51.100.7'."""
    who = by(row)
    return who if who.startswith("from ") else f"by {who}"


def _title_and_verdict(row: dict[str, Any]) -> Markup:
    marks = [markup.badge(row["verdict"])] if row["verdict"] != COMPLETE else []
    return markup.joined((markup.operation(title(row), row["key"]), *marks), " ")


def _why(row: dict[str, Any]) -> Markup:
    return Markup('<span class="fo-clamp" title="{0}">{0}</span>').format(row["why"] or "")


COLUMNS = (
    markup.when("started", "started_at"),
    markup.Column("operation", _title_and_verdict, "title"),
    markup.Column("outcome", outcome, "outcome"),
    markup.Column("by", by, "short fo-rest"),
    markup.Column("why it ended", _why, "long fo-rest"),
    markup.duration("took", "seconds"),
)


def running_card(row: dict[str, Any], running: str, progress: str, gate: str) -> Markup:
    """The card of an operation that runs now.

    ``running``: a line with the instances in progress; ``progress``: how far it is; ``gate``: a line about the last
    gate. All three are texts, empty if there is nothing to show.
    """
    first = markup.head(
        markup.badge(RUNNING),
        markup.operation(title(row), row["key"]),
        markup.small(
            f"{by_whom(row)}, started {viewer.day_moment(row['started_at'])} ({times.duration(row['seconds'])} ago)"
        ),
        Markup('<span class="fo-end fo-small">{}</span>').format(progress) if progress else markup.NOTHING,
    )
    parts = segments(row)
    done = sum(one.count for one in parts if one.status not in (RUNNING, WAITING))
    label = f"{done:,} of {int(row['instances']):,} done"
    below = [markup.paragraph(markup.small(line)) for line in (running, gate) if line]
    return markup.card(RUNNING, first, markup.stacked_bar(parts, label), markup.legend(parts), *below)
