# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make shots`: take the screenshots of the console's pages in docs/images, light and dark, from a new run of the demo.

SHOTS_RECORD=DIR uses the record of an earlier demo (a folder with console.db and runs).
"""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.commands.browser import FLAGS
from tests.commands.browser import browser as find_browser
from tests.console.support.every_page import Tab, declared_pages, place
from tests.console.support.served import serving

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = CHECKOUT / "docs" / "images"
# One target fails, so that the pages also show a failure.
FAULTS = '{"outcomes": {"agent-007": ["failed"]}}'
SIZE = {"width": 1280, "height": 900}
COLOURS = 128

# The pages that show a single item, and the query for the item in the record.
ONE = {
    "operation": "SELECT run_id FROM runs ORDER BY status = 'failed' DESC, started_at DESC LIMIT 1",
    "rollout": "SELECT rollout_id FROM rollouts ORDER BY total DESC, failed DESC, created_at DESC LIMIT 1",
    "run": "SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1",
    "instance": "SELECT instance_id FROM rollout_targets ORDER BY status = 'failed' DESC, created_at DESC LIMIT 1",
}


def main() -> int:
    """Take the screenshots. The exit code is 1 if the demo left no record."""
    record = Path(os.environ.get("SHOTS_RECORD") or CHECKOUT / ".demo")
    if "SHOTS_RECORD" not in os.environ:
        # The demo ends with exit code 2, because one target fails.
        environment = {**os.environ, "CONSOLE": "0", "SIM_FAULTS": FAULTS}
        subprocess.run([sys.executable, "-m", "tests.commands.demo"], cwd=CHECKOUT, env=environment, check=False)
    database = record / "console.db"
    if not database.is_file():
        print(f"There is no record in {record}: the demo did not complete.", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    # find_browser() starts Playwright, which cannot be started again inside the block.
    executable = find_browser()[0]
    with serving(database, record / "runs") as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        total = sum(shoot(browser, served.url, database, scheme) for scheme in ("light", "dark"))
        browser.close()
    print(f"{len(list(IMAGES.glob('console-*.png')))} screenshots in {IMAGES}, {total / 1e6:.2f} MB written")
    return 0


def shoot(browser: Browser, address: str, database: Path, scheme: str) -> int:
    """Take a screenshot of every page in one colour scheme. Returns their size in bytes."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    tab, total = Tab(page, address), 0
    for name in declared_pages():
        tab.load(place(name, f"id={one(database, name)}" if name in ONE else ""), "")
        page.mouse.move(0, 0)
        file = IMAGES / f"console-{name}-{scheme}.png"
        total += write(page.screenshot(animations="disabled"), file)
        print(f"{file.name:34}{file.stat().st_size / 1024:7.0f} KiB")
    page.close()
    return total


def one(database: Path, page: str) -> str:
    """The id of the item that the page shows."""
    with closing(sqlite3.connect(database)) as conn:
        found = conn.execute(ONE[page]).fetchone()
    return str(found[0]) if found else ""


def write(png: bytes, file: Path) -> int:
    """Write a screenshot with a reduced palette. Returns its size in bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)
    return file.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
