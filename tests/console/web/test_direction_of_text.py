# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters that change the direction of text: with them, one host could look like another, or a failure like none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from console.act.decision import Intent, why_refused
from console.record.rows import Cursor
from console.record.write.store import open_store
from console.settings.identity import Identity
from tests.console.support.page import opened, words
from tests.console.support.recorded_runs import put_run
from tests.console.support.seeded import TENANT, ident, rollout_read, target

pytestmark = pytest.mark.usefixtures("environment")

# Without an escape, a browser shows agent-321.
HOST, SHOWN = "agent-\u202e123", r"agent-\u202e123"
ROLLOUT, RUN = ident(1, 0x4A), ident(2, 0x4A)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path, now = tmp_path / "console.db", time.time()
    words_of_server = {"instance_hostname": HOST, "error_message": "deleted \u202eREP NI\u2066"}
    failed = target(1, ROLLOUT, "failed", now - 900, now - 890, now - 800, **words_of_server)
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([rollout_read(ROLLOUT, [failed], "failed", now - 900, now - 800)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
    put_run(
        path,
        RUN,
        300,
        hosts=[HOST],
        results=[{"host": HOST, "status": "failed", "msg": "no \u202eyes"}],
        playbook="roll\u202eing.yml",
        user="mara\u202e",
        controller="c\u202e",
        started_at=now - 300,
        ended_at=now - 200,
    )
    return path


@pytest.mark.parametrize(
    ("page", "query", "shows_host"),
    [
        ("overview", {}, False),
        ("operations", {}, False),
        ("operation", {"id": ROLLOUT}, True),
        ("operation", {"id": RUN}, True),
        ("compare", {"a": ROLLOUT, "b": RUN}, True),
        ("instances", {}, True),
        ("instance", {"id": ident(1, 0xB0)}, True),
        ("failures", {}, True),
        ("rollout", {"id": ROLLOUT}, True),
        ("rollouts", {}, False),
        ("run", {"id": RUN}, True),
        ("runs", {}, False),
    ],
)
def test_no_page_shows_a_text_in_another_direction(
    page: str, query: dict[str, str], shows_host: bool, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = words(opened(monkeypatch, database, page, **query))
    assert [line for line in shown.splitlines() if "\u202e" in line or "\u2066" in line] == []
    assert SHOWN in shown or not shows_host


def test_the_name_that_forces_an_action_is_typed_as_it_is_shown() -> None:
    operator = Identity("https://id.example.com", "s", "mara", "operator")
    intent = Intent("retry", TENANT, HOST, rollout_id=ROLLOUT, target_id="t", force=True)
    asked = why_refused(intent, operator, enabled=True, reason="why", typed="agent-321")
    assert asked == f"To force this, type the name: {SHOWN}."
    assert why_refused(intent, operator, enabled=True, reason="why", typed=SHOWN) == ""
