# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table in the browser. Its cells are drawn on a canvas, so a test clicks at a position."""

from __future__ import annotations

import contextlib
import re

from playwright.sync_api import Locator, Page, TimeoutError


def click_cell(page: Page, table: Locator, x: float, y: float, leads_to: str) -> None:
    """Click until the address matches the expression ``leads_to``, because a table that is redrawn may miss a click.

    The timeout is long, because an early second click would hit a table of the next page.
    """
    for _dummy in range(6):
        table.click(position={"x": x, "y": y})
        with contextlib.suppress(TimeoutError):
            page.wait_for_url(re.compile(leads_to), wait_until="commit", timeout=15_000)
            return
    raise AssertionError(f"{page.url} is not {leads_to}")
