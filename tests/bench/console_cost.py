# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: what the pages cost as the record grows, on the server, on the line and in a browser.

    .venv/bin/python tests/bench/console_cost.py [--rounds 5] [--scale 1.0]

For each size a database is seeded through the store and served by ``python -m console serve``:

query      CPU ms of the page's queries, nothing cached (in this process, the same page by AppTest)
first run  ms of the script's run in the server when the database has just changed, so that nothing is cached
next run   ms of the script's run for the next session
CPU        CPU ms of the server for such a first run and for such a next one
sent       KiB over the WebSocket, to a session that has seen nothing yet
visible    s from the address to the page's figures in a headless Chromium with a warm cache, and until its chart or
           table is drawn

All are the least of the rounds, in which the pages take turns: other work on the machine only adds. A run is one
thread's, so beside other work its CPU time is what it would take alone, and the goal is held to that. Exits with 1
when a goal is missed (see GOALS).
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import itertools
import logging
import math
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import BrowserContext, sync_playwright
from streamlit.testing.v1 import AppTest

from console.record import read
from tests.commands.browser import FLAGS, NoBrowser
from tests.commands.browser import browser as find_browser
from tests.console.support.every_page import SCRIPTS
from tests.console.support.seeded import BIG, TENANT, fleet_rollout
from tests.console.support.seeded_audit import seed_audit
from tests.console.support.served import Served, serving
from tests.console.support.visitor import Visit, Visitor

SIZES = ((20, 1_000), (2_000, 100_000), (20_000, 1_000_000))
"""Targets of the one big rollout (and instances), and audit events."""

AUDITED = 200
"""At most so many instances have the audit events; what the page reads of each grows with their number."""

SPREAD = (20_000, 1_000_000)
"""Targets and instances that share so many audit events, in a database of its own."""

GOALS = """\
Rollout at 20,000 targets: drawn in under 3 times the time of an empty page, run under 300 ms, at most 1 MB sent
Overview and Operation at 20,000 targets: drawn, run and sent no more than 1.1 times Rollout
Audit of 1,000,000 events, of 200 and of 20,000 instances: under 200 ms of query time
growth: from 2,000 to 20,000 targets at most 10 times (query, CPU, sent, drawn)"""


SPREAD_NAME = f"Audit, {SPREAD[0]:,} instances"


@dataclass(frozen=True)
class Page:
    """A page, how it is asked for, and how a browser knows that its figures are there and that it is drawn."""

    name: str
    path: str
    query: str
    figures: str
    drawn: str


DRAWN = ".js-plotly-plot .xtick text >> visible=true"
EMPTY = Page("empty", "rollout", "", "text=No rollout is selected.", "text=No rollout is selected.")
PAGES = (
    Page("Overview", "", "", "table.fo-table", "table.fo-table tbody tr"),
    Page("Operation", "operation", f"id={BIG}", ".fo-verdict", DRAWN),
    Page("Rollout", "rollout", f"id={BIG}", ".fo-strip", DRAWN),
    Page("Audit", "audit", "", ".fo-strip", DRAWN),
)


@dataclass(frozen=True)
class Cost:
    """Seconds but for ``sent`` (bytes)."""

    query: float
    first_run: float
    next_run: float
    first_cpu: float
    next_cpu: float
    sent: int
    figures: float
    drawn: float


def seed(path: Path, targets: int, events: int, audited: int = AUDITED) -> None:
    """One rollout of ``targets`` instances, and ``events`` audit events of the first ``audited`` of them."""
    from console.record.rows import Cursor
    from console.record.write.store import open_store

    now = time.time()
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([fleet_rollout(BIG, targets, max(2, min(50, targets // 10)), now - 30000)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
    seed_audit(path, events=events, instances=min(targets, audited))


def query_seconds(database: Path, page: Page, told: dict[str, float]) -> float:
    """CPU seconds that the page's queries took, by one run of the page in this process; ``told``: by query."""
    told.clear()

    def timed(query: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(query)
        def run(*args: Any, **kwargs: Any) -> Any:
            # The script runs in a thread of its own; what one query asks another is counted once, for the outer one.
            before = time.thread_time()
            try:
                return query(*args, **kwargs)
            finally:
                told[query.__name__] = told.get(query.__name__, 0.0) + time.thread_time() - before

        return run

    plain = {
        (module, name): query
        for module in (
            importlib.import_module(f"console.record.read.{m.name}") for m in pkgutil.iter_modules(read.__path__)
        )
        for name, query in vars(module).items()
        if inspect.isfunction(query) and query.__module__ == module.__name__ and not name.startswith("_")
    }
    os.environ["FLEETOPS_CONSOLE_DB"] = str(database)
    touch(database)
    try:
        for (module, name), query in plain.items():
            setattr(module, name, timed(query))
        app = AppTest.from_file(str(ROOT / "console" / "app.py"), default_timeout=120)
        for name, _equals, value in [page.query.partition("=")] if page.query else []:
            app.query_params[name] = value
        app.switch_page(SCRIPTS[page.path or "overview"]).run()
        if app.exception:
            raise SystemExit(f"{page.name} failed: {app.exception[0].message}")
    finally:
        for (module, name), query in plain.items():
            setattr(module, name, query)
    return sum(told.values())


def touch(database: Path) -> None:
    """What a sync leaves behind: the pages take the database for changed and read it anew."""
    os.utime(database)


def visit(server: Served, page: Page) -> tuple[Visit, float]:
    """A new session's visit, and what CPU seconds the server took for it."""
    with Visitor(server.url) as visitor:
        before = server.cpu()
        seen = visitor.open(page.path, page.query)
        spent = server.cpu() - before
    if seen.errors:
        raise SystemExit(f"{page.name} failed: {seen.errors}\n{server.log.read_text()[-2000:]}")
    return seen, spent


def visible(context: BrowserContext | None, server: Served, page: Page) -> tuple[float, float]:
    """Seconds until the page's figures are visible, and until it is drawn; NaN without a browser."""
    if context is None:
        return math.nan, math.nan
    tab = context.new_page()
    begun = time.monotonic()
    tab.goto(f"{server.url}/{page.path}?{page.query}", wait_until="commit")
    tab.locator(page.figures).first.wait_for(timeout=60_000)
    figures = time.monotonic() - begun
    tab.locator(page.drawn).first.wait_for(timeout=60_000)
    drawn = time.monotonic() - begun
    tab.close()
    return figures, drawn


def measure(
    context: BrowserContext | None, server: Served, database: Path, rounds: int, told: dict[str, dict[str, float]]
) -> dict[str, Cost]:
    """The costs of every page; they take turns, so that a machine that slows down favours none."""
    first: dict[str, list[tuple[Visit, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    again: dict[str, list[tuple[Visit, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    seen: dict[str, list[tuple[float, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    asked = {page.name: query_seconds(database, page, told.setdefault(page.name, {})) for page in (EMPTY, *PAGES)}
    for page in (EMPTY, *PAGES):
        visit(server, page)
        visible(context, server, page)
    for _round in range(rounds):
        for page in (EMPTY, *PAGES):
            touch(database)
            first[page.name].append(visit(server, page))
            again[page.name].append(visit(server, page))
            touch(database)
            seen[page.name].append(visible(context, server, page))
    return {
        page.name: Cost(
            asked[page.name],
            min(one.script_seconds for one, _cpu in first[page.name]),
            min(one.script_seconds for one, _cpu in again[page.name]),
            min(cpu for _one, cpu in first[page.name]),
            min(cpu for _one, cpu in again[page.name]),
            max(one.sent for one, _cpu in first[page.name]),
            min(figures for figures, _drawn in seen[page.name]),
            min(drawn for _figures, drawn in seen[page.name]),
        )
        for page in (EMPTY, *PAGES)
    }


HEAD = (
    f"{'page':<26}{'targets':>8}{'events':>10}{'query':>8}{'first run':>11}{'next run':>10}{'CPU':>11}"
    f"{'sent':>8}{'visible':>9}{'drawn':>7}{'/ empty':>9}"
)


def line(name: str, size: tuple[int, int], cost: Cost, empty: Cost) -> str:
    return (
        f"{name:<26}{size[0]:>8,}{size[1]:>10,}{cost.query * 1000:>8.0f}{cost.first_run * 1000:>11.0f}"
        f"{cost.next_run * 1000:>10.0f}{f'{cost.first_cpu * 1000:.0f} / {cost.next_cpu * 1000:.0f}':>11}"
        f"{cost.sent / 1024:>8.0f}{cost.figures:>9.2f}{cost.drawn:>7.2f}{cost.drawn / empty.drawn:>9.1f}"
    )


def missed(costs: dict[tuple[str, int], Cost]) -> list[str]:
    """Sentences about the goals that were not met, of the two biggest sizes."""
    small, big = (size[0] for size in SIZES[-2:])
    rollout, empty = costs["Rollout", big], costs["empty", big]
    said = []
    if rollout.drawn >= 3 * empty.drawn:
        said.append(f"Rollout was drawn in {rollout.drawn / empty.drawn:.1f} times the time of an empty page, not 3")
    if min(rollout.first_run, rollout.first_cpu) >= 0.3:
        said.append(f"Rollout's run took {rollout.first_run * 1000:.0f} ms, not 300")
    if rollout.sent > 1024 * 1024:
        said.append(f"Rollout sent {rollout.sent / 1024:.0f} KiB, not 1024")
    for name, what in itertools.product(("Overview", "Operation"), ("drawn", "first_cpu", "sent")):
        ratio = getattr(costs[name, big], what) / getattr(rollout, what)
        if ratio > 1.1:
            said.append(f"{name}: {what} was {ratio:.1f} times that of Rollout, not 1.1")
    for name in ("Audit", SPREAD_NAME):
        if costs[name, big].query >= 0.2:
            said.append(f"The queries of {name} took {costs[name, big].query * 1000:.0f} ms, not 200")
    for page in PAGES:
        for what in ("query", "first_cpu", "sent", "drawn"):
            before, after = getattr(costs[page.name, small], what), getattr(costs[page.name, big], what)
            if after > 10 * before:
                said.append(f"{page.name}: {what} grew {after / before:.1f} times where the record grew 10 times")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="all sizes times this; goals are for 1 (%(default)s)")
    parser.add_argument("--server-only", action="store_true", help="leave the browser out")
    parser.add_argument("--keep", metavar="DIR", help="keep the seeded databases there and use them again")
    parser.add_argument("--queries", action="store_true", help="tell the time of each query too")
    arguments = parser.parse_args()
    try:
        chromium, _version = find_browser()
    except NoBrowser as error:
        raise SystemExit(f"{error}; `make browser` installs one.") from error
    for name in [n for n in os.environ if n.startswith("FLEETOPS_")]:
        del os.environ[name]
    # The pages run in this process too, where Streamlit warns of its absent server.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").disabled = True
    costs: dict[tuple[str, int], Cost] = {}
    print(f"{arguments.rounds} rounds; ms (query, runs, CPU first / next), KiB, s; load {os.getloadavg()[0]:.1f}")
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for targets, events, audited in (*((*size, AUDITED) for size in SIZES), (*SPREAD, SPREAD[0])):
            scaled = (max(2, int(targets * arguments.scale)), max(10, int(events * arguments.scale)))
            spread = audited == SPREAD[0]
            folder = Path(arguments.keep or name) / (f"{targets}-spread" if spread else str(targets))
            (folder / "runs").mkdir(parents=True, exist_ok=True)
            os.environ["FLEETOPS_RUN_LOG_DIR"] = str(folder / "runs")
            database = folder / "console.db"
            if not database.exists():
                seed(database, *scaled, audited)
            told: dict[str, dict[str, float]] = {}
            with serving(database, folder / "runs") as server, browser.new_context() as context:
                shown = None if arguments.server_only else context
                found = measure(shown, server, database, arguments.rounds, told)
            for page, cost in found.items():
                if spread and page != "Audit":
                    continue
                label = SPREAD_NAME if spread else page
                costs[label, targets] = cost
                print(line(label, scaled, cost, found["empty"]), flush=True)
                if arguments.queries:
                    print("".join(f"{'':10}{n:<24}{s * 1000:>6.1f}\n" for n, s in told[page].items()), end="")
        browser.close()
    print(f"goals:\n{GOALS}")
    failed = missed(costs) if arguments.scale == 1 else []
    for sentence in failed:
        print(f"missed: {sentence}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
