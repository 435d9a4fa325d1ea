# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words and signs of statuses."""

from __future__ import annotations

from console.text.statuses import style_of


def test_an_unknown_status_keeps_its_text() -> None:
    assert style_of("half_done").label == "· half_done"
    assert style_of(None).word == style_of("").word == "no status"
