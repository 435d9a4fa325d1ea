# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the outcome of an instance changed between two operations."""

from __future__ import annotations

import itertools

import pytest

from console.outcomes.words import CATEGORIES, change_of
from console.outcomes.words import CHANGES as KINDS

CHANGES = [
    ("updated", "failed", "new failure"),
    ("not_touched", "uncertain", "new failure"),
    ("failed", "failed", "still failing"),
    ("failed", "uncertain", "still failing"),
    ("uncertain", "updated", "fixed"),
    ("failed", "current", "fixed"),
    ("failed", "not_touched", "other"),
    ("failed", "running", "other"),
    ("updated", "updated", "same"),
    ("updated", "current", "other"),
    ("updated", None, "only before"),
    ("failed", None, "only before"),
    (None, "failed", "only now"),
    (None, "updated", "only now"),
]


@pytest.mark.parametrize(("before", "now", "kind"), CHANGES)
def test_a_change_between_two_outcomes_is_classified(before: str | None, now: str | None, kind: str) -> None:
    assert change_of(before, now) == kind


def test_every_pair_of_categories_has_a_kind_and_same_means_equal() -> None:
    for before, now in itertools.product(CATEGORIES, repeat=2):
        kind = change_of(before, now)
        assert kind in KINDS
        assert kind != "same" or before == now
