# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of a record in messages: a missing, null or blank value is described in words."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import (
    ended_as,
    is_status,
    named,
    origin,
    reason_of,
    text_of,
    with_status,
)

FULL = {"id": "r-1", "status": "paused", "created_at": "2026-01-01T00:00:00Z", "initiated_from_ip": "192.0.2.1"}


def test_existing_values_are_shown_as_the_server_wrote_them() -> None:
    assert text_of({"total_targets": 0}, "total_targets") == "0"
    assert (named("rollout", FULL), is_status(FULL), ended_as(FULL)) == ("rollout r-1", "is paused", "ended as paused")
    assert origin(FULL) == "created at 2026-01-01T00:00:00Z, from 192.0.2.1"
    assert with_status([FULL]) == "r-1 (paused)"


@pytest.mark.parametrize("record", [{}, dict.fromkeys(FULL), dict.fromkeys(FULL, "  ")])
def test_missing_values_are_described_as_unknown(record: dict) -> None:
    assert text_of(record, "status") == "unknown"
    assert (named("rollout", record), named("instance", record)) == (
        "a rollout without an id",
        "an instance without an id",
    )
    assert (is_status(record), ended_as(record)) == ("has no status", "ended without a status")
    assert origin(record) == "created at an unknown time, from an unknown address"
    assert with_status([record, FULL]) == "one without an id (no status), r-1 (paused)"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, ""),
        ("", ""),
        ("bundle checksum mismatch.", "bundle checksum mismatch"),
        ("Traceback:\n  File x\n\nKeyError\n", "Traceback: File x KeyError"),
        ({"code": 7}, "{'code': 7}"),
        ("x" * 1_000_000, "x" * 597 + "..."),
    ],
)
def test_the_reason_of_a_failure_is_one_line_of_limited_length(error: object, reason: str) -> None:
    assert reason_of({"error_message": error}) == reason
