# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each status looks like: word, sign, colours on light and dark, pattern, severity. One table for all pages.

The words are the canonical ones of the API client's models; an unknown word keeps its text, in a neutral style.
A status is never shown by colour alone: every place that colours also writes the sign and the word.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tone:
    """A colour with its sign. badge and icon are Streamlit's names."""

    light: str
    dark: str
    badge: str
    icon: str
    sign: str


@dataclass(frozen=True)
class Look:
    """How one status is drawn. pattern is Plotly's fill pattern ('' is solid); the highest severity wins a cell."""

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


ACCENT = {"light": "#3b6fb6", "dark": "#7aa7e0"}
FAINT = {"light": "#c9ced6", "dark": "#4a5160"}
PAGE = {"light": "#ffffff", "dark": "#14171c"}
LABEL = {"light": "#565d69", "dark": "#a8b0bc"}
INK = {"light": "#1d2430", "dark": "#eef1f5"}
GRID = {"light": "rgba(120,128,140,0.18)", "dark": "rgba(160,168,180,0.16)"}

GOOD = Tone("#9ccab0", "#3f7a5d", "green", ":material/check_circle:", "✓")
BAD = Tone("#c8303c", "#e5606a", "red", ":material/cancel:", "✕")
DOUBT = Tone("#d39a2d", "#dba94a", "orange", ":material/help:", "?")
STUCK = Tone("#d39a2d", "#dba94a", "orange", ":material/hourglass_disabled:", "!")
BUSY = Tone("#7fa6da", "#5b86c4", "blue", ":material/sync:", "▶")
WAITS = Tone("#c9ced6", "#5a6272", "gray", ":material/schedule:", "○")
OFF = Tone("#a9b0bb", "#737c8c", "gray", ":material/block:", "–")
PAUSED = Tone("#d39a2d", "#dba94a", "orange", ":material/pause_circle:", "‖")
CHANGED = Tone("#d39a2d", "#dba94a", "orange", ":material/edit:", "±")
IGNORED = Tone("#a9b0bb", "#737c8c", "gray", ":material/cancel:", "✕")
CUT_OFF = Tone("#8f2430", "#f08a92", "red", ":material/link_off:", "✕")
OTHER = Tone("#a9b0bb", "#737c8c", "gray", ":material/radio_button_unchecked:", "·")

LOOKS: dict[str, Look] = {
    # targets, harmless first
    "succeeded": Look("succeeded", GOOD, 1),
    "cancelled": Look("cancelled", OFF, 2),
    "queued": Look("queued", WAITS, 2),
    "in_progress": Look("in progress", BUSY, 4, "/"),
    "uncertain": Look("uncertain", DOUBT, 5, "x"),
    "failed": Look("failed", BAD, 6),
    # a target that does not move though it should
    "stuck": Look("stuck", STUCK),
    # rollouts
    "pending": Look("pending", WAITS),
    "paused": Look("paused", PAUSED),
    "cancelling": Look("cancelling", DOUBT),
    "completed": Look("completed", GOOD),
    "partial": Look("partial", BAD),
    # playbook runs
    "running": Look("running", BUSY),
    "successful": Look("successful", GOOD),
    "canceled": Look("canceled", OFF),
    "lost": Look("lost", CUT_OFF),
    "unknown": Look("unknown", DOUBT),
    # task results
    "ok": Look("ok", GOOD),
    "changed": Look("changed", CHANGED),
    "skipped": Look("skipped", OFF),
    # of a host: it was given a task and no result of it is known
    "in_flight": Look("in flight", DOUBT, 5),
    "unreachable": Look("unreachable", CUT_OFF),
    "ignored": Look("failed, ignored", IGNORED),
    # health of an instance
    "healthy": Look("healthy", GOOD, 1),
    "starting": Look("starting", BUSY, 4),
    "degraded": Look("degraded", DOUBT, 5),
    "unhealthy": Look("unhealthy", BAD, 6),
    # versions of an instance, actions, the maintenance window
    "current": Look("current", GOOD),
    "outdated": Look("outdated", CHANGED),
    "accepted": Look("accepted", WAITS),
    "timeout": Look("timeout", DOUBT),
    "open": Look("open", GOOD),
    "closed": Look("closed", OFF),
    # what was tried from the console
    "done": Look("done", GOOD),
    "refused": Look("refused", OFF),
    "no outcome": Look("no outcome", CUT_OFF),
    # audit events
    "success": Look("success", GOOD),
    "error": Look("error", BAD),
    "denied": Look("denied", DOUBT),
}

TARGETS = ("succeeded", "cancelled", "queued", "in_progress", "uncertain", "failed")


def see_through(colour: str, opacity: float) -> str:
    """A hex colour that lets ``1 - opacity`` of what is behind it through."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red},{green},{blue},{opacity:g})"


def look(status: str | None) -> Look:
    """The look of a status word; an unknown or empty word keeps its text."""
    word = (status or "").strip()
    return LOOKS.get(word) or Look(word or "no status", OTHER)
