# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The charts: bars, labels and patterns of targets, the image of a big rollout, audit counts, and escaping."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st

from console.figures import audit
from console.figures.theme import plain
from console.figures.timeline import bars as timeline_chart
from console.figures.timeline import heatmap
from console.figures.timeline.axes import Axis, DrawOptions, Mark
from console.figures.timeline.packing import Layout, Usual, lay_out
from console.text import times
from console.text.statuses import STYLES
from tests.console.support.seeded import HOSTILE

NAN = float("nan")
T0 = 1_795_000_000.0


def targets(*rows: tuple[str, str, float, float, float, float, str | None]) -> pd.DataFrame:
    """A frame of targets. Each row: host, status, created, started, completed, countdown, error; times after T0."""
    names = ["host", "status", "created_at", "started_at", "completed_at", "countdown_s", "error"]
    frame = pd.DataFrame(rows, columns=names)
    frame[names[2:5]] += T0
    return frame.assign(
        is_open=frame["status"].isin(["queued", "in_progress"]), target_id=[f"id-{h}" for h in frame["host"]]
    )


def arranged(frame: pd.DataFrame, now: float) -> Layout:
    times = [frame[name].to_numpy(float) for name in ("created_at", "started_at", "completed_at", "countdown_s")]
    return lay_out(times[0], times[1], times[2], times[3], frame["is_open"].to_numpy(bool), now)


FOUR = targets(
    ("a", "succeeded", 0, 10, 70, 4, None),
    ("b", "uncertain", 0, 12, 50, 4, "worker lost"),
    ("c", "in_progress", 0, 60, NAN, 4, None),
    ("d", "queued", 0, NAN, NAN, 30, None),
    ("e", "failed", 0, 75, 80, 4, HOSTILE),
)
NOW = T0 + 100


def after(places: Any) -> list[float]:
    """Positions on the clock axis, in seconds after T0."""
    return [round(Axis().seconds(place) - T0, 3) for place in places]


def bars(figure: go.Figure, word: str) -> Any:
    return next(trace for trace in figure.data if word in trace.name)


def test_each_started_target_is_one_bar_with_its_times_and_a_width() -> None:
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW)
    good = bars(figure, "succeeded")
    assert after(good.base) == [10]
    assert list(good.x) == [60_000]
    run_phase = [trace for trace in figure.data if trace.hoverinfo != "skip"]
    assert sum(len(trace.x) for trace in run_phase) == 4
    for trace in figure.data:
        assert len(trace.width) == len(trace.x)
    assert list(bars(figure, "in progress").x) == [(100 - 60) * 1000]
    # An open target has a pattern, and there is a line at the current time.
    assert bars(figure, "in progress").marker.pattern.shape
    assert after(shape.x0 for shape in figure.layout.shapes) == [100]


def test_no_two_statuses_of_targets_differ_only_by_colour() -> None:
    words = ("succeeded", "failed", "uncertain", "in_progress", "queued", "cancelled")
    assert len({STYLES[word].tone.sign for word in words}) == len(words)
    assert STYLES["uncertain"].pattern and STYLES["uncertain"].pattern != STYLES["in_progress"].pattern
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW)
    assert {"? uncertain 1", "✕ failed 1", "✓ succeeded 1"} <= {trace.name for trace in figure.data}


def test_the_wait_is_a_thin_bar_before_the_run() -> None:
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW, DrawOptions(rows="targets"))
    count, queue = bars(figure, "countdown"), bars(figure, "waiting")
    assert set(count.width) == set(queue.width) == {timeline_chart.WAIT}
    assert max(count.width) < timeline_chart.BAR
    # A countdown of 4 s for each, 30 s for the queued target; then the queue until the start or the current time.
    assert sorted(count.x) == [4000, 4000, 4000, 4000, 30_000]
    assert sorted(queue.x) == [6000, 8000, 56_000, 70_000, 71_000]
    # In the view by slots, the wait never overlaps another bar.
    slots = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW)
    layout = arranged(FOUR, NOW)
    for name in ("countdown", "waiting"):
        for trace in [t for t in slots.data if t.name == name]:
            for begin, length, row in zip(after(trace.base), trace.x, trace.y, strict=True):
                for k in np.flatnonzero(layout.slot + 1 == row):
                    assert begin + length / 1000 <= layout.start[k] - T0 or begin >= layout.end[k] - T0


def test_the_label_describes_the_target_and_escapes_texts_of_the_api() -> None:
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW)
    label = bars(figure, "failed").text[0]
    assert label.startswith("<b>e</b><br>✕ failed<br>started 2026-11-18 ")
    assert "took 5.0 s" in label
    assert "<img" not in label and "&lt;img" in label
    assert "no end yet" in bars(figure, "in progress").text[0]
    assert "waited 10 s (countdown 4.0 s)" in bars(figure, "succeeded").text[0]


@given(text=st.text())
def test_plain_escapes_all_markup(text: str) -> None:
    escaped = plain(text).replace("<br>", "")
    assert "<" not in escaped and ">" not in escaped
    assert "\u202e" not in plain(f"{text}\u202eback")


def test_the_image_of_a_big_rollout_shows_the_worst_status_and_the_window() -> None:
    count = 2000
    start = T0 + np.arange(count) * 2.0
    frame = pd.DataFrame(
        {
            "target_id": [f"id-{n}" for n in range(count)],
            "host": [f"h{n}" for n in range(count)],
            "status": ["failed" if n % 50 == 0 else "succeeded" for n in range(count)],
            "created_at": T0,
            "started_at": start,
            "completed_at": start + 30,
            "countdown_s": 0.0,
            "error": None,
            "is_open": False,
        }
    )
    layout = arranged(frame, NOW)
    figure = heatmap.timeline_heatmap(frame, layout, DrawOptions(window=(T0 + 100, T0 + 200)))
    image = np.asarray(figure.data[0].z)
    assert image.dtype == np.uint8 and image.shape == (layout.slots, 1200) == (15, 1200)
    assert image.max() == STYLES["failed"].severity
    assert [after((s.x0, s.x1)) for s in figure.layout.shapes] == [[100, 200]]
    assert {"✓ succeeded 1,960", "✕ failed 40"} <= {t.name for t in figure.data}
    # The image is sent to the browser as bytes, so the figure is small.
    assert len(figure.to_json()) < 60_000
    # Idle cells are transparent.
    scale = dict(figure.data[0].colorscale)
    assert scale[0.0] == "rgba(0,0,0,0)"
    part = timeline_chart.timeline_bars(frame, layout, NOW, DrawOptions(window=(T0 + 100, T0 + 200)))
    assert sum(len(t.x) for t in part.data if t.hoverinfo != "skip") == 66


def test_the_usual_end_is_drawn_below_the_bar_and_is_in_its_label() -> None:
    layout = arranged(FOUR, NOW)
    own, none = np.array([30.0, NAN, 20.0, NAN, NAN]), np.full(5, NAN)
    deploys = np.array([12, 0, 7, 0, 0])
    usual = Usual(own, own + 20, deploys, 25.0, 60.0, 90)
    figure = timeline_chart.timeline_bars(FOUR, layout, NOW, DrawOptions(rows="targets", usual=usual))
    here, fleet = bars(figure, "usual end here"), bars(figure, "usual end, fleet")
    # The usual end ranges from the median to the 95th percentile after the start, drawn below the bar.
    assert sorted(after(here.base)) == [40, 80] and list(here.x) == [20_000, 20_000]
    assert len(fleet.x) == 4 and set(fleet.x) == {35_000}
    good = bars(figure, "succeeded")
    assert here.y[0] - here.width[0] / 2 > good.y[0] + good.width[0] / 2 - 0.001
    assert "usual here: half within 30 s, 95 % within 50 s (12 deploys), longer than that" in good.text[0]
    assert "usual in the fleet: half within 25 s, 95 % within 1 min 00 s (90 deploys)" in bars(figure, "failed").text[0]
    # The axis includes the usual end of the open run.
    assert after(figure.layout.xaxis.range)[1] >= 60 + 60
    # In the view by slots only open targets have a usual end, and without a history none has.
    slots = timeline_chart.timeline_bars(FOUR, layout, NOW, DrawOptions(usual=usual))
    assert after(bars(slots, "usual end here").base) == [80]
    nothing = timeline_chart.timeline_bars(FOUR, layout, NOW, DrawOptions(usual=Usual(none, none, deploys * 0)))
    assert not any("usual" in trace.name for trace in nothing.data)


def test_the_axis_of_elapsed_time_shows_the_same_as_the_clock_axis() -> None:
    layout = arranged(FOUR, NOW)
    axis = Axis.elapsed(T0, T0 + 100)
    clock, elapsed = (timeline_chart.timeline_bars(FOUR, layout, NOW, DrawOptions(axis=a)) for a in (Axis(), axis))
    for one, two in zip(clock.data, elapsed.data, strict=True):
        assert np.allclose(after(one.base), np.array(two.base, dtype=float))
        assert np.allclose(np.array(one.x, dtype=float) / 1000, np.array(two.x, dtype=float))
    assert (elapsed.layout.xaxis.type, elapsed.layout.xaxis.ticksuffix) == ("linear", " s")
    assert [shape.x0 for shape in elapsed.layout.shapes] == [100]
    # A position from the browser is converted to the time that it was drawn for.
    assert Axis.elapsed(T0, T0 + 9000).seconds(1.5) == T0 + 90
    assert Axis().seconds(times.moment(T0 + 1) + ".25") == T0 + 1.25
    assert Axis().seconds((T0 + 2) * 1000) == T0 + 2


def test_a_gate_after_the_last_target_is_inside_the_chart() -> None:
    options = DrawOptions(marks=(Mark(T0 + 5, "✓ 00:00"), Mark(T0 + 160, "✕ 00:02")))
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW, options)
    first, last = after(figure.layout.xaxis.range)
    assert first < 5 and 160 < last < 180


def test_selected_bars_are_framed_and_every_bar_has_the_id_of_its_target() -> None:
    figure = timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW, DrawOptions(selected=(0, 4, 3)))
    frame = bars(figure, "selected 2")
    # The queued target has no bar.
    assert after(frame.base) == [10, 75]
    assert frame.marker.color == "rgba(0,0,0,0)" and frame.hoverinfo == "skip"
    ids = [target_id for trace in figure.data if trace.customdata is not None for target_id in trace.customdata]
    assert sorted(ids) == ["id-a", "id-b", "id-c", "id-e"]
    assert bars(figure, "failed").customdata[0] == "id-e"


def test_a_figure_of_the_same_data_has_the_same_json() -> None:
    """Streamlit keeps a chart with its zoom as long as its JSON stays the same."""
    one, two = (timeline_chart.timeline_bars(FOUR, arranged(FOUR, NOW), NOW).to_json() for _dummy in range(2))
    assert one == two
    assert json.loads(one)["layout"]["barmode"] == "overlay"


def test_a_chart_without_bars_is_still_a_figure() -> None:
    none = FOUR[FOUR["status"] == "queued"].reset_index(drop=True)
    assert len(timeline_chart.timeline_bars(none, arranged(none, NOW), NOW).data) == 0
    assert len(heatmap.timeline_heatmap(none, arranged(none, NOW)).data) >= 1


def test_the_audit_chart_shows_every_count_and_unknown_outcomes() -> None:
    buckets = ["2026-11-01", "2026-11-01", "2026-11-02", ""]
    counts = pd.DataFrame({"bucket": buckets, "outcome": ["success", "denied", "odd", "odd"], "events": [5, 2, 1, 9]})
    figure = audit.over_time(counts)
    assert sum(sum(trace.y) for trace in figure.data) == 8, "events without a time are not on the axis"
    assert [trace.name for trace in figure.data] == ["✓ success", "? denied", "· odd"]
    assert figure.layout.yaxis.dtick is None and audit.over_time(counts[1:3]).layout.yaxis.dtick == 1, "no half events"
    hours = counts.assign(bucket=[f"{bucket}T07" if bucket else "" for bucket in buckets])
    assert [audit.over_time(found).layout.xaxis.title.text for found in (counts, hours)] == [None, "UTC"]
