# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each status is shown: word, sign, colours for light and dark, pattern, severity. One table for all pages.

The words are those of the collection's _rules; an unknown word is shown as it is, with a neutral style.
A status is never shown only by colour: wherever there is a colour, there are also the sign and the word.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable


@dataclass(frozen=True)
class Tone:
    """A colour with its sign. badge and icon: names in Streamlit."""

    light: str
    dark: str
    badge: str
    icon: str
    sign: str


@dataclass(frozen=True)
class StatusStyle:
    """How one status is shown. pattern: Plotly's fill pattern ('': solid). A cell shows its highest severity."""

    word: str
    tone: Tone
    severity: int = 3
    pattern: str = ""

    @property
    def label(self) -> str:
        """Sign and word, for legends and tables."""
        return f"{self.tone.sign} {self.word}"

    def colour(self, theme: str) -> str:
        """Hex colour for the theme 'light' or 'dark'."""
        return self.tone.dark if theme == "dark" else self.tone.light


GOOD = Tone("#9ccab0", "#3f7a5d", "green", ":material/check_circle:", "✓")
BAD = Tone("#c8303c", "#e5606a", "red", ":material/cancel:", "✕")
DOUBT = Tone("#d39a2d", "#dba94a", "orange", ":material/help:", "?")
MIXED = Tone("#d39a2d", "#dba94a", "orange", ":material/warning:", "!")
STUCK = Tone("#d39a2d", "#dba94a", "orange", ":material/hourglass_disabled:", "!")
BUSY = Tone("#7fa6da", "#5b86c4", "blue", ":material/sync:", "▶")
WAITS = Tone("#c9ced6", "#5a6272", "gray", ":material/schedule:", "○")
OFF = Tone("#a9b0bb", "#737c8c", "gray", ":material/block:", "–")
PAUSED = Tone("#d39a2d", "#dba94a", "orange", ":material/pause_circle:", "‖")
BEHIND = Tone("#d39a2d", "#dba94a", "orange", ":material/upgrade:", "↑")
CHANGED = Tone("#d39a2d", "#dba94a", "orange", ":material/edit:", "±")
IGNORED = Tone("#a9b0bb", "#737c8c", "gray", ":material/cancel:", "✕")
CUT_OFF = Tone("#8f2430", "#f08a92", "red", ":material/link_off:", "✕")
OTHER = Tone("#a9b0bb", "#737c8c", "gray", ":material/radio_button_unchecked:", "·")

# Statuses that are shown unchanged, and that no chart ranks.
_PLAIN = {
    GOOD: ("pass", "completed", "successful", "complete", "ok", "current", "open", "done", "sent", "success"),
    BAD: ("stop", "stopped", "gave up", "error"),
    MIXED: ("partial", "complete with failures"),
    DOUBT: ("cancelling", "unknown", "inconclusive", "timeout", "denied"),
    STUCK: ("stuck",),
    BUSY: ("running",),
    WAITS: ("pending", "accepted"),
    OFF: ("canceled", "skipped", "closed", "refused"),
    PAUSED: ("defer", "hold", "paused"),
    BEHIND: ("outdated",),
    CHANGED: ("changed", "differs"),
    CUT_OFF: ("lost", "unreachable", "no outcome"),
    OTHER: ("check",),
}

STYLES = {word: StatusStyle(word, tone) for tone, words in _PLAIN.items() for word in words} | {
    # targets, harmless first
    "succeeded": StatusStyle("succeeded", GOOD, 1),
    "cancelled": StatusStyle("cancelled", OFF, 2),
    "queued": StatusStyle("queued", WAITS, 2),
    "in_progress": StatusStyle("in progress", BUSY, 4, "/"),
    "uncertain": StatusStyle("uncertain", DOUBT, 5, "x"),
    "failed": StatusStyle("failed", BAD, 6),
    # instances of an operation
    "updated": StatusStyle("updated", GOOD, 1),
    "deferred": StatusStyle("deferred", PAUSED, 2),
    "not_touched": StatusStyle("not touched", WAITS, 2, "/"),
    "waiting": StatusStyle("waiting", WAITS, 2),
    "gone": StatusStyle("not found", OFF, 2),
    # health of an instance
    "healthy": StatusStyle("healthy", GOOD, 1),
    "starting": StatusStyle("starting", BUSY, 4),
    "degraded": StatusStyle("degraded", DOUBT, 5),
    "unhealthy": StatusStyle("unhealthy", BAD, 6),
    # a host whose task has no known result yet, and a failure that the task ignores
    "in_flight": StatusStyle("in flight", DOUBT, 5),
    "ignored": StatusStyle("failed, ignored", IGNORED),
}


def style_of(status: str | None) -> StatusStyle:
    """The style of a status; an unknown one is shown as it is, without characters that would change its direction."""
    word = (status or "").strip()
    return STYLES.get(word) or StatusStyle(printable(word) or "no status", OTHER)
