# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts and markup in every text of the record: on each page of a Chromium they are only text."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from tests.console.support.every_page import Tab, declared_pages, place
from tests.console.support.seeded_hostile import BEFORE, INSTANCE, MARKUP, NOW, RUN, TOKEN, hostile, seed_hostile
from tests.console.support.served import serving

pytestmark = pytest.mark.browser

# Page: its heading, its query, and the fields whose complete text it shows.
SHOWN: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "overview": ("Overview", "", ("errorb", "user", "version")),
    "operations": ("Operations", "", ("user",)),
    "instances": ("Instances", "", ("host1", "version", "part")),
    "failures": ("Failures", "", ("host1",)),
    "audit": ("Audit", "", ("host1", "tool_name")),
    "policy": ("Policy and window", "", ("runtime_default2", "skills_default2")),
    "record": ("Record health", "", ()),
    "operation": ("bolt: ", f"id={RUN}", ("host1", "errorb", "user", "controller")),
    "instance": ("hxq-host1", f"id={INSTANCE}", ("host1", "part", "version", "slug", "message", "errorb")),
    "compare": ("Compare two operations", f"a={BEFORE}&b={NOW}", ("host1", "errorb")),
    "rollouts": ("Rollouts", "", ()),
    "rollout": ("Rollout, fleet", f"id={NOW}", ("host1", "errorb", "ip")),
    "runs": ("Playbook runs", "", ("user", "controller")),
    "run": ("bolt: ", f"id={RUN}", ("msg", "task", "host1", "playbook")),
    "actions": ("Console actions", "", ("user", "reason", "detail")),
}

# Markup that took effect, wherever it came from.
EFFECTS = (
    'a[href^="javascript"]',
    # A link to a page of the console may contain the text.
    '[href*="203.0.113.9"]:not([href^="./"])',
    'img[src="x"]',
    '[src*="203.0.113.9"]',
    ".katex",
    "script:text('window.hit')",
    "b:text-is('b')",
    "strong:text-is('s')",
    "tspan[style*='bold']:text-is('b')",
    "[data-testid=stIconMaterial]:text-is('bolt')",
    "text=😄",
)
CUT = """() => [...document.querySelectorAll('.fo-strip > div, .fo-card')].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent.slice(0, 60))"""
# Elements whose text would be shown in another direction. Boxes have their text as a value.
REVERSED = """() => [...document.querySelectorAll('body *')].filter(element => [
    element.title, element.ariaLabel, element.value, ...[...element.childNodes].map(node => node.data),
  ].join('').includes('\\u202e')).map(element => element.closest('[data-testid]')?.dataset.testid)"""
# Texts that start like the hostile ones but continue differently. Charts shorten and wrap texts, so their check is
# weaker; a cell may contain JSON.
BROKEN = """([token, markup]) => {
  const wrong = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const chart = node.parentElement.closest('svg');
    for (const part of node.data.split(token).slice(1)) {
      // A message that stands for several has its numbers as #.
      const rest = part.replace(/^\\w+/, '').replaceAll('\\\\"', '"').replaceAll('hit=#', 'hit=1');
      const start = markup.slice(0, chart ? 3 : 60);
      if (!rest.startsWith(start) && !/^.{0,60}(…|\\.\\.\\.)/.test(rest)) wrong.push(part.slice(0, 80));
    }
  }
  return wrong;
}"""


@pytest.fixture(scope="module")
def hostile_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "runs").mkdir()
    seed_hostile(folder / "console.db", folder / "runs", float(int(time.time())))
    with serving(folder / "console.db", folder / "runs") as served:
        yield served.url


@pytest.fixture
def tab(hostile_console: str, browser: Browser) -> Iterator[Tab]:
    page = browser.new_page(viewport={"width": 1800, "height": 3000}, reduced_motion="reduce")
    opened = Tab(page, hostile_console)
    page.on("dialog", lambda shown: opened.troubles.append(f"dialog: {shown.message}"))
    yield opened
    page.close()


def effects(tab: Tab) -> list[str]:
    """The hostile markup that had any effect."""
    found = [selector for selector in EFFECTS if tab.page.locator(selector).count()]
    if tab.page.evaluate("window.hit"):
        found.append("a script ran")
    found += [f"not literal: {text!r}" for text in tab.page.evaluate(BROKEN, [TOKEN, MARKUP])]
    found += [f"wider than its cell: {text!r}" for text in tab.page.evaluate(CUT)]
    found += [f"reversed text: {text}" for text in tab.page.evaluate(REVERSED)]
    return found + tab.troubles


def test_hostile_text_is_only_text_on_every_page(tab: Tab) -> None:
    assert sorted(SHOWN) == sorted(declared_pages())
    failures = []
    for number, page in enumerate(declared_pages()):
        heading, query, fields = SHOWN[page]
        (tab.turn if number else tab.load)(place(page, query), heading)
        for chooser in tab.page.locator("[data-testid=stSelectbox]").all()[:2]:
            chooser.click()
            failures += [f"{page}, open list: {text}" for text in effects(tab)]
            tab.page.keyboard.press("Escape")
        failures += [f"{page}: {text}" for text in effects(tab)]
        tab.troubles.clear()
        # Streamlit escapes this character in Markdown code.
        text = tab.says().replace(":material_", ":material/")
        failures += [f"{page}: {field} is not there" for field in fields if printable(hostile(field)) not in text]
        assert "hxq-" in text or page in ("rollouts", "record"), f"{page} shows no text of the record's"
    assert failures == [], "\n".join(failures)


def test_hostile_text_is_only_text_in_hover_labels(tab: Tab) -> None:
    tab.load(place("rollout", f"id={NOW}"), "Rollout, fleet")
    bars = tab.page.locator(".js-plotly-plot .barlayer .point path")
    bars.first.wait_for()
    widest = max(bars.all(), key=lambda bar: (bar.bounding_box() or {"width": 0})["width"])
    box = widest.bounding_box()
    assert box is not None
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = tab.page.locator(".js-plotly-plot .hoverlayer .hovertext").first
    label.wait_for()
    assert f"{TOKEN}host" in (label.text_content() or "")
    assert effects(tab) == []
