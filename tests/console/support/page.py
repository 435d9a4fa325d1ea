# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of the console, run without a browser, and its text."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.console.support.every_page import SCRIPTS

CONSOLE = Path(__file__).resolve().parents[3] / "console"


def opened(monkeypatch: pytest.MonkeyPatch, database: Path, page: str, /, **query: str) -> AppTest:
    """A page after one run, which must not raise an exception."""
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(database))
    app = AppTest.from_file(str(CONSOLE / "app.py"), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    if page != "overview":
        app.switch_page(SCRIPTS[page])
        for name, value in query.items():
            app.query_params[name] = value
    app.run()
    assert not app.exception, (page, app.exception[0].stack_trace)
    return app


def words(app: AppTest) -> str:
    """The complete text of a page."""
    texts = []
    for kind in ("title", "header", "subheader", "caption", "text", "markdown", "code", "error", "warning", "info"):
        texts += [str(element.value) for element in getattr(app, kind)]
    texts += [shown.proto.text for shown in app.get("progress")]
    texts += [frame.value.to_csv() for frame in app.dataframe]
    return "\n".join([*texts, *drawn(app)])


def drawn(app: AppTest) -> list[str]:
    """The text of the HTML that the console generates; each row of a table is a line."""
    bodies = [str(part.value) for part in app.get("html")]
    parts = [re.sub(r"</(tr|p|section|h2|dd)>", "\n", body) for body in bodies if not body.startswith("<style")]
    return [re.sub(r"[ \xa0]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", part))).strip() for part in parts]


def synced(app: AppTest) -> AppTest:
    next(button for button in app.button if button.label == "Sync now").click()
    app.run(timeout=120)
    assert not app.exception
    return app
