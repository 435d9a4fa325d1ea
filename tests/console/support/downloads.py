# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Downloading the files that a page offers."""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError


def downloaded(page: Page, menu: Locator, button: Locator) -> tuple[str, bytes]:
    """Click a button of a menu, and return the name and content of the downloaded file. A click during a redraw is
    lost, and a redraw may close the menu, so both clicks are repeated."""
    for _dummy in range(4):
        with contextlib.suppress(TimeoutError):
            if not button.is_visible():
                menu.click()
            with page.expect_download(timeout=30_000) as waiting:
                button.click()
            return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()
    raise AssertionError("no file was downloaded")
