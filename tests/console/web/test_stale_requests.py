# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a request means that the browser wrote before it knew of a change."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import streamlit as st

from console.web.timeline import stale_requests
from console.web.timeline.stale_requests import SECONDS, changed, meant


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(stale_requests, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(st, "session_state", {})
    return now


def test_what_was_before_a_change_means_what_is_after_it_for_some_seconds(clock: list[float]) -> None:
    assert meant("window", (0, 600)) == (0, 600)
    changed("window", (0, 600), (19, 92))
    assert meant("window", (0, 600)) == (19, 92)
    # What was neither before nor after is somebody's will, and another value's change is none of this one.
    assert meant("window", (0, 92)) == (0, 92)
    assert meant("selected", (0, 600)) == (0, 600)
    clock[0] += SECONDS
    assert meant("window", (0, 600)) == (0, 600)


def test_of_several_quick_changes_all_that_was_before_means_the_newest(clock: list[float]) -> None:
    changed("selected", (), ("a",))
    clock[0] += SECONDS - 1
    changed("selected", ("a",), ("a", "b"))
    assert meant("selected", ()) == meant("selected", ("a",)) == ("a", "b")
    clock[0] += 2
    assert meant("selected", ()) == ()
    assert meant("selected", ("a",)) == ("a", "b")
    # Back and forth: what is now is what it is.
    changed("selected", ("a", "b"), ("a",))
    assert meant("selected", ("a",)) == ("a",)
    assert meant("selected", ("a", "b")) == ("a",)
