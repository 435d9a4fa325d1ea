# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: how long the pages take and how much they send as the record grows.

    .venv/bin/python tests/bench/console_cost.py [--rounds 5] [--scale 1.0]

For each size, a database is filled through the store and served by ``python -m console serve``. The columns:

query      CPU ms of the page's queries with nothing cached (by AppTest, in this process)
first run  ms of the script's run in the server after the database has changed, so with nothing cached
next run   ms of the script's run for the next session
CPU        CPU ms of the server for a first run and for a next run
sent       KiB sent over the WebSocket to a new session
visible    s until a headless Chromium with a warm cache shows the page's figures
drawn      s until it has drawn the chart or table

Each figure is the minimum of the rounds, because other work on the machine only adds time. For the same reason the goal
for a run applies to its CPU time if that is shorter: a run has a single thread. The exit code is 1 if a goal is missed
(see GOALS).
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
"""The number of targets of the large rollout (and of instances), and the number of audit events."""

AUDITED = 200
"""The largest number of instances that have audit events, because the cost also grows with their number."""

SPREAD = (20_000, 1_000_000)
"""The number of targets and instances, and of their audit events, in a separate database."""

GOALS = """\
Rollout at 20,000 targets: drawn in under 3 times the time of an empty page, run under 300 ms, at most 1 MB sent
Overview and Operation at 20,000 targets: drawn, run and sent no more than 1.1 times Rollout
Audit of 1,000,000 events, of 200 and of 20,000 instances: under 200 ms of query time
growth: from 2,000 to 20,000 targets at most 10 times (query, CPU, sent, drawn)"""


SPREAD_NAME = f"Audit, {SPREAD[0]:,} instances"


@dataclass(frozen=True)
class Page:
    """A page, its address, and the selectors of its figures and of its chart or table."""

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
    """All fields are in seconds, except ``sent`` (bytes)."""

    query: float
    first_run: float
    next_run: float
    first_cpu: float
    next_cpu: float
    sent: int
    figures: float
    drawn: float


def seed(path: Path, targets: int, events: int, audited: int = AUDITED) -> None:
    """Fill a database with a rollout of ``targets`` instances and ``events`` audit events of ``audited`` of them."""
    from console.record.rows import Cursor
    from console.record.write.store import open_store

    now = time.time()
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([fleet_rollout(BIG, targets, max(2, min(50, targets // 10)), now - 30000)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
    seed_audit(path, events=events, instances=min(targets, audited))


def query_seconds(database: Path, page: Page, by_query: dict[str, float]) -> float:
    """The CPU seconds of the page's queries, by running it in this process; ``by_query`` gets those of each query."""
    by_query.clear()

    def timed(query: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(query)
        def run(*args: Any, **kwargs: Any) -> Any:
            # The script runs in its own thread. The time of a query includes the queries that it calls.
            before = time.thread_time()
            try:
                return query(*args, **kwargs)
            finally:
                by_query[query.__name__] = by_query.get(query.__name__, 0.0) + time.thread_time() - before

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
    return sum(by_query.values())


def touch(database: Path) -> None:
    """Change the time of the database as a sync does, so that the pages read it again."""
    os.utime(database)


def visit(server: Served, page: Page) -> tuple[Visit, float]:
    """The visit of a new session, and the CPU seconds that the server spent on it."""
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
    context: BrowserContext | None, server: Served, database: Path, rounds: int, by_query: dict[str, dict[str, float]]
) -> dict[str, Cost]:
    """The costs of all pages. The pages take turns, so that a machine that slows down affects them equally."""
    first: dict[str, list[tuple[Visit, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    again: dict[str, list[tuple[Visit, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    seen: dict[str, list[tuple[float, float]]] = {page.name: [] for page in (EMPTY, *PAGES)}
    asked = {page.name: query_seconds(database, page, by_query.setdefault(page.name, {})) for page in (EMPTY, *PAGES)}
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
    """The goals that the two largest sizes missed, each as a sentence."""
    small, big = (size[0] for size in SIZES[-2:])
    rollout, empty = costs["Rollout", big], costs["empty", big]
    sentences = []
    if rollout.drawn >= 3 * empty.drawn:
        sentences.append(
            f"Rollout was drawn in {rollout.drawn / empty.drawn:.1f} times the time of an empty page, not 3"
        )
    if min(rollout.first_run, rollout.first_cpu) >= 0.3:
        sentences.append(f"Rollout's run took {rollout.first_run * 1000:.0f} ms, not 300")
    if rollout.sent > 1024 * 1024:
        sentences.append(f"Rollout sent {rollout.sent / 1024:.0f} KiB, not 1024")
    for name, what in itertools.product(("Overview", "Operation"), ("drawn", "first_cpu", "sent")):
        ratio = getattr(costs[name, big], what) / getattr(rollout, what)
        if ratio > 1.1:
            sentences.append(f"{name}: {what} was {ratio:.1f} times that of Rollout, not 1.1")
    for name in ("Audit", SPREAD_NAME):
        if costs[name, big].query >= 0.2:
            sentences.append(f"The queries of {name} took {costs[name, big].query * 1000:.0f} ms, not 200")
    for page in PAGES:
        for what in ("query", "first_cpu", "sent", "drawn"):
            before, after = getattr(costs[page.name, small], what), getattr(costs[page.name, big], what)
            if after > 10 * before:
                sentences.append(
                    f"{page.name}: {what} grew by a factor of {after / before:.1f} while the record grew by 10"
                )
    return sentences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor for all sizes; the goals are only checked for 1 (%(default)s)"
    )
    parser.add_argument("--server-only", action="store_true", help="do not measure in a browser")
    parser.add_argument("--keep", metavar="DIR", help="keep the databases in this folder and reuse them")
    parser.add_argument("--queries", action="store_true", help="also print the time of each query")
    arguments = parser.parse_args()
    try:
        chromium, _version = find_browser()
    except NoBrowser as error:
        raise SystemExit(f"{error}; `make browser` installs one.") from error
    for name in [n for n in os.environ if n.startswith("FLEETOPS_")]:
        del os.environ[name]
    # The pages also run in this process, where Streamlit warns that there is no server.
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
            by_query: dict[str, dict[str, float]] = {}
            with serving(database, folder / "runs") as server, browser.new_context() as context:
                shown = None if arguments.server_only else context
                found = measure(shown, server, database, arguments.rounds, by_query)
            for page, cost in found.items():
                if spread and page != "Audit":
                    continue
                label = SPREAD_NAME if spread else page
                costs[label, targets] = cost
                print(line(label, scaled, cost, found["empty"]), flush=True)
                if arguments.queries:
                    print("".join(f"{'':10}{n:<24}{s * 1000:>6.1f}\n" for n, s in by_query[page].items()), end="")
        browser.close()
    print(f"goals:\n{GOALS}")
    failed = missed(costs) if arguments.scale == 1 else []
    for sentence in failed:
        print(f"missed: {sentence}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
