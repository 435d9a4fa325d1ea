# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sync button: which details of instances it reads, and its progress bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from console.record.read import instances as instance_queries
from console.settings.identity import Identity
from console.settings.login_file import Acting, load_login
from console.web import sign_in
from console.web.overview import sync_button
from tests.console.support.login_file import written
from tests.simulator.running import running_simulator

APP = str(Path(__file__).resolve().parents[3] / "console" / "app.py")


def test_the_selected_details_are_read_and_each_step_moves_the_progress_bar(
    environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = tmp_path / "console.db"
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(database))
    steps: list[str] = []
    plain: Callable[..., Any] = DeltaGenerator.progress

    def listening(self: DeltaGenerator, value: float, text: str | None = None, **more: Any) -> Any:
        steps.append(f"{value:.1f} {text}")
        return plain(self, value, text, **more)

    monkeypatch.setattr(DeltaGenerator, "progress", listening)
    with running_simulator(instances=4) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        assert sim.call("POST", "/v1/instances/fleet/runtime/rollout")[0] == 200
        app = AppTest.from_file(APP, default_timeout=120).run()
        press(app)
        assert instance_queries.instance_tally(database)["health_read"] == 0
        app.pills(key="sync_details").select("health").select("memory").run()
        press(app)
        assert not app.exception
        assert len(sim.journal(operation_id="get_deep_health")) == 4
        assert sim.journal(operation_id="get_available_updates") == []
    tally = instance_queries.instance_tally(database)
    assert (tally["total"], tally["health_read"], tally["with_memory"], tally["updates_read"]) == (4, 4, 4, 0)
    assert any("details of instances read 8" in text.value for text in app.text)
    assert any(step.startswith("1.0 rollouts: ") for step in steps)
    assert {"1.0 audit of instances: 4 of 4", "1.0 health, memory: 4 of 4"} <= set(steps)
    # The bar disappears when the sync has ended.
    assert not app.get("progress")


def press(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Sync now").click().run()


# reports/2026-11 F6
def test_with_a_login_only_operators_can_sync(
    environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: Path
) -> None:
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(small))
    monkeypatch.setattr(sign_in, "acting", lambda: Acting(login=load_login(written(tmp_path / "login.toml"))))
    with running_simulator(instances=4) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sign_in, "visitor", lambda: Identity("i", "s", "eve", "viewer", "You `may` look only."))
        app = AppTest.from_file(APP, default_timeout=120).run()
        assert [button.disabled for button in app.button if button.label == "Sync now"] == [True]
        assert "`You 'may' look only.`" in [caption.help for caption in app.caption]
        # A browser may still request it.
        pressed = iter([True])
        monkeypatch.setattr(sync_button, "button", lambda: next(pressed, False))
        app = AppTest.from_file(APP, default_timeout=120).run()
        assert "You `may` look only." in [text.value for text in app.text]
        assert sim.journal() == []
