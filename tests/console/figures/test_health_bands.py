# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bands of health, which have gaps where there was no check, and the figures of instances and policies."""

from __future__ import annotations

import itertools

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from console.figures.instance import MAX_HOLD, MIN_HOLD, Band, bands, deploy_times, health_over_time, usual_hold
from console.figures.policy import calendar
from tests.console.support.seeded import HOSTILE

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30, unique=True).map(sorted)


@given(TIMES, st.data())
def test_bands_are_in_order_cover_every_check_and_hold_for_a_limited_time(times: list[float], data: st.DataObject):
    words = data.draw(st.lists(st.sampled_from(["healthy", "degraded", "?"]), min_size=len(times), max_size=len(times)))
    now = times[-1] + data.draw(st.floats(0, 1e5))
    hold = usual_hold(times)
    assert MIN_HOLD <= hold <= MAX_HOLD
    found = bands(times, words, now)
    assert sum(band.checks for band in found) == len(times)
    for earlier, later in itertools.pairwise(found):
        assert earlier.end <= later.start
        assert earlier.status != later.status or earlier.end < later.start
    for at, word in zip(times, words, strict=True):
        assert any(band.start <= at <= band.end and band.status == word for band in found)
    for band in found:
        inside = [at for at in times if band.start <= at <= band.end]
        # Every moment of a band is at most `hold` after a check.
        assert band.end <= now and band.end - max(inside[-1], band.start) <= hold + 1e-6


def test_a_band_ends_if_no_check_follows() -> None:
    checks = [0.0, 600.0, 1200.0, 90_000.0]
    # The usual interval of the checks is 10 minutes, so a result holds for at most 20.
    assert bands(checks, ["healthy"] * 4, 90_100.0) == [
        Band(0.0, 2400.0, "healthy", 3),
        Band(90_000.0, 90_100.0, "healthy", 1),
    ]


def test_the_figures_of_an_instance_escape_markup_and_accept_empty_data() -> None:
    checks = pd.DataFrame({"checked_at": [10.0], "status": [HOSTILE]})
    none = pd.DataFrame({"started_at": [], "took_s": [], "status": [], "error": []}, dtype=object)
    one = pd.DataFrame({"started_at": [5.0], "took_s": [3.0], "status": [HOSTILE], "error": [HOSTILE]})
    for figure in (
        health_over_time(checks, (0.0, 100.0), "dark"),
        health_over_time(checks[:0], (0.0, 1.0)),
        deploy_times(none, (None, None)),
        deploy_times(one, (1.0, 2.0)),
    ):
        assert "<img" not in figure.to_json().encode().decode("unicode_escape")
        assert figure.layout.xaxis.title.text == "UTC", "the page may show times in another zone"


def test_the_calendar_shows_the_open_hours_and_the_freezes_of_each_day() -> None:
    night = [hour >= 22 or hour < 4 for hour in range(24)]
    noon = 86400.0 * 3 + 43200
    frozen = [(noon - 86400, noon - 3600, "began yesterday"), (noon + 86400, noon + 2.25 * 86400, HOSTILE)]
    figure = calendar(night, frozen, noon, days=3)
    assert figure.layout.xaxis.title.text == "UTC"
    spans = {
        trace.name: [(d, b, b + x) for d, b, x in zip(trace.y, trace.base, trace.x, strict=True)]
        for trace in figure.data
    }
    assert spans == {
        "✓ open": [(day, *hours) for day in range(3) for hours in ((0, 4), (22, 24))],
        "– closed": [(day, 4, 22) for day in range(3)],
        "✕ frozen": [(0, 0.0, 11.0), (1, 12.0, 24.0), (2, 0.0, 18.0)],
    }
    assert figure.data[2].text[0] == "Sun 04 Jan, frozen from 1970-01-03 12:00 to 1970-01-04 11:00 UTC: began yesterday"
    assert list(figure.layout.yaxis.ticktext) == ["Sun 04 Jan", "Mon 05 Jan", "Tue 06 Jan"]
    assert "<img" not in figure.to_json().encode().decode("unicode_escape")
