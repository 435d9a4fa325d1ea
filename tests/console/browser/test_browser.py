# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console in a headless Chromium: the timeline reacts to the pointer, and no request leaves the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.support.seeded import FLEET, host_name, ident
from tests.console.support.served import upgrade_answer
from tests.console.support.table_in_browser import click_cell

pytestmark = pytest.mark.browser


# This test is the first on purpose: the server's first visit is a deep link. With a folder named `pages`, Streamlit
# ran such a page without app.py, and the navigation was missing.
def test_hovering_over_a_target_in_the_timeline_shows_its_name(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/rollout?id={FLEET}")
    bars = page.locator(".js-plotly-plot .barlayer .point path")
    bars.first.wait_for()
    # The bars of runs; the thin bar before each is the waiting time, which has no label.
    boxes = [box for box in (one.bounding_box() for one in bars.all()) if box and box["height"] > 8]
    box = max(boxes, key=lambda found: found["width"])
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".js-plotly-plot .hoverlayer .hovertext")
    label.first.wait_for()
    assert "agent-" in (label.first.text_content() or "")
    assert page.get_by_role("link", name="Operations").is_visible()
    assert page.locator("[data-testid=stSidebar]").count() == 0


def test_a_click_in_a_list_opens_the_rollout_and_its_address_can_be_shared(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/rollouts?rollouts_scope=fleet&rollouts_status=partial")
    page.get_by_text("1 rollout", exact=True).wait_for()
    page.get_by_role("link", name="24 targets").click()
    page.get_by_role("heading", name="Rollout, fleet").wait_for()
    assert page.url == f"{address}/rollout?id={FLEET}"


def test_a_click_on_a_cell_of_the_pivot_lists_its_events(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/audit?span=All")
    page.get_by_text("1,200 events, newest first").wait_for()
    table = page.locator(".st-key-pivot_source [data-testid=stDataFrame]")
    table.locator("canvas").first.wait_for()
    # The column of denied events in the first row.
    click_cell(page, table, 660, 50, "audit_outcome=")
    assert "audit_source=mcp" in page.url and "audit_outcome=denied" in page.url
    page.get_by_text("1,200 events, newest first").wait_for(state="hidden")
    shared = page.url
    shown = page.get_by_text("events, newest first").inner_text()
    page.goto("about:blank")
    page.goto(shared)
    page.get_by_text(shown, exact=True).wait_for()


def test_the_page_of_an_instance_links_to_its_own_audit_events(address: str, watched: Page) -> None:
    page = watched
    page.goto(f"{address}/instance?id={ident(1, 0xB0)}")
    page.get_by_text("Open in the audit summary").click()
    page.get_by_role("heading", name="Audit summary").wait_for()
    box = page.get_by_label("Instance", exact=True)
    events = page.get_by_text(re.compile("^[0-9,]+ events, newest first"))
    expect(box).to_have_value(host_name(1))
    expect(events).to_contain_text("300 events")
    box.click()
    page.get_by_role("option", name="all instances").click()
    expect(events).to_contain_text("1,200 events")
    page.go_back()
    expect(events).to_contain_text("300 events")
    page.go_back()
    page.get_by_role("heading", name=host_name(1)).wait_for()


def test_an_open_page_follows_a_change_of_the_theme(address: str, watched: Page) -> None:
    page = watched
    # This page does not refresh itself.
    page.goto(f"{address}/audit?span=All")
    texts, bars = page.locator(".fo .fo-small"), page.locator(".js-plotly-plot .bars path")
    colours = {"light": ("rgb(90, 99, 112)", "#9ccab0"), "dark": ("rgb(162, 171, 184)", "#3f7a5d")}
    for theme in ("light", "dark", "light"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        text, fill = colours[theme]
        expect(texts.first).to_have_css("color", text)
        expect(bars.first).to_have_css("fill", f"rgb{tuple(bytes.fromhex(fill[1:]))}")


def test_the_server_listens_on_loopback_only_and_refuses_foreign_host_names(address: str) -> None:
    port = int(address.rpartition(":")[2])
    listening = Path("/proc/net/tcp").read_text()
    mine = [line.split()[1] for line in listening.splitlines()[1:] if line.split()[1].endswith(f":{port:04X}")]
    assert any(local.startswith("0100007F:") for local in mine)
    assert not any(local.startswith("00000000:") for local in mine)
    # A foreign page whose name resolves to this machine (DNS rebinding) gets no session.
    assert upgrade_answer(port, "evil.example").startswith("HTTP/1.1 403")
    assert upgrade_answer(port, f"127.0.0.1:{port}").startswith("HTTP/1.1 101")
