# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of the audit counts, and their pivot table: a row for each value, a column for each outcome. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pandas as pd
import plotly.graph_objects as go

from console.figures.theme import GRID, IN_UTC, finish, plain
from console.text.statuses import style_of
from console.text.times import local

KNOWN = ("success", "denied", "error")


def outcome_order(outcome: str) -> tuple[int, str]:
    """Sort key: the known outcomes first, success at the bottom of a stack."""
    return (KNOWN.index(outcome) if outcome in KNOWN else len(KNOWN), outcome)


def over_time(counts: pd.DataFrame, theme: str = "light", zone: str = "") -> go.Figure:
    """Events per bucket, stacked by outcome. counts: bucket ('YYYY-MM-DD' or 'YYYY-MM-DDTHH'), outcome, events.

    zone: the viewer's time zone, in which the label of an hour shows its start again. Days are in UTC.
    """
    named = counts[counts["bucket"] != ""]
    summed = named.groupby(["bucket", "outcome"], as_index=False)["events"].sum()
    hourly = len(named) > 0 and len(str(named["bucket"].iloc[0])) > 10
    pattern = "%Y-%m-%d %H:00} UTC" if hourly else "%Y-%m-%d}"
    figure = go.Figure()
    for outcome in sorted(summed["outcome"].unique(), key=outcome_order):
        part = summed[summed["outcome"] == outcome]
        style = style_of(outcome)
        in_zone = _hours_in_zone(part["bucket"], zone) if hourly else []
        figure.add_trace(
            go.Bar(
                x=[f"{b[:10]} {b[11:]}:00" if hourly else b for b in part["bucket"]],
                y=part["events"].tolist(),
                name=plain(style.label, 40, 1),
                marker_color=style.colour(theme),
                customdata=in_zone or None,
                hovertemplate="%{x|"
                + f"{pattern}: %{{y:,}} {plain(style.word, 40, 1)}{'%{customdata}' if in_zone else ''}<extra></extra>",
            )
        )
    buckets = summed["bucket"].nunique()
    ticks = {"dtick": 86_400_000} if not hourly and buckets < 9 else {}
    figure.update_xaxes(type="date", tickformat="%H:%M\n%b %-d" if hourly else "%b %-d\n%Y", showgrid=False, **ticks)
    if hourly:
        figure.update_xaxes(title=IN_UTC)
    # For small numbers, Plotly would also label half events.
    few = {"dtick": 1} if summed.groupby("bucket")["events"].sum().max() < 6 else {}
    figure.update_yaxes(gridcolor=GRID[theme], zeroline=False, rangemode="tozero", automargin=True, **few)
    return finish(figure, theme, barmode="stack", bargap=0.25 if buckets > 3 else 0.7, height=280)


def _hours_in_zone(buckets: Iterable[str], zone: str) -> list[str]:
    """The start of each hour in the viewer's zone, as an additional line for its label; [] without a zone."""
    if not zone:
        return []
    begins = (datetime.strptime(bucket, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp() for bucket in buckets)
    return [f"<br>({in_zone})" if in_zone else "" for in_zone in (local(zone, begin) for begin in begins)]


MAX_SPARK = 120
"""The maximum number of bars in the small chart of a row; the newest are kept."""


def pivot(counts: pd.DataFrame, most: int = 200) -> pd.DataFrame:
    """One row for each value, the ``most`` largest: value, events, over_time (a list of counts per bucket, oldest
    first), not_success (the share of events that did not succeed), and a column ``o:WORD`` for each outcome."""
    outcomes = sorted(counts["outcome"].unique(), key=outcome_order)
    wide = counts.pivot_table(index="value", columns="outcome", values="events", aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=outcomes, fill_value=0)
    total = wide.sum(axis=1)
    good = wide["success"] if "success" in outcomes else 0
    table = wide.add_prefix("o:").assign(events=total, not_success=1 - good / total)
    table = table.sort_values("events", ascending=False).head(most)
    named = counts[(counts["bucket"] != "") & counts["value"].isin(table.index)]
    lines = named.pivot_table(index="value", columns="bucket", values="events", aggfunc="sum", fill_value=0)
    newest = lines.sort_index(axis=1).iloc[:, -MAX_SPARK:].reindex(table.index, fill_value=0)
    table["over_time"] = newest.to_numpy().tolist()
    return table.reset_index()
