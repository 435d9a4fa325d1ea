# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How clicks and ticks change the selection, how its link filters the table, and the usual duration of a target."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import ScriptRunContext
from streamlit.testing.v1 import AppTest

from console.record.read import durations, rollouts
from console.record.write.store import open_store
from console.web.timeline import selection
from tests.console.support.seeded import FLEET, TENANT, fleet_rollout, ident, seed_small

CHECKOUT = Path(__file__).resolve().parents[3]
IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(now=IDS, clicked=IDS)
def test_a_click_adds_to_the_selection_and_a_second_click_removes(now: list[str], clicked: list[str]) -> None:
    after = selection.after_click(now, clicked)
    if len(clicked) == 1 and clicked[0] in now:
        assert set(after) == set(now) - set(clicked)
    else:
        assert set(after) == set(now) | set(clicked)


@given(now=IDS, listed=IDS, data=st.data())
def test_ticks_change_the_selection_of_the_listed_rows_only(now: list[str], listed: list[str], data) -> None:
    ticked = data.draw(st.lists(st.sampled_from(listed), unique=True)) if listed else []
    after = set(selection.after_boxes(now, listed, ticked))
    assert after & set(listed) == set(ticked)
    assert after - set(listed) == set(now) - set(listed)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("record")
    now = time.time()
    seed_small(folder / "console.db", folder / "runs", now)
    with open_store(folder / "console.db") as store:
        store.put_rollouts([fleet_rollout(ident(20 + k, 0x11 + k), 24, 2, now - 20_000 - k * 2000) for k in range(4)])
    return folder / "console.db", now


@pytest.mark.usefixtures("environment")
def test_a_link_with_a_selection_shows_it_and_can_filter_by_it(
    record: tuple[Path, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = record
    rows, _dummy = rollouts.target_page(path, TENANT, FLEET, rollouts.TargetFilter(sort="Start"), now)
    chosen = rows["target_id"].tolist()[3:5]
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    app = AppTest.from_file(str(CHECKOUT / "console" / "app.py"), default_timeout=60)
    app.query_params["id"], app.query_params["selected"] = FLEET, [*chosen, chosen[0]]
    app.query_params["selected_only"] = "true"
    app.switch_page("web/rollouts/rollout.py").run()
    assert not app.exception
    assert "2 selected" in [caption.value for caption in app.caption]
    assert app.dataframe[-1].value["host"].tolist() == rows["host"].tolist()[3:5]
    next(button for button in app.button if button.label == "Clear selection").click().run()
    assert not app.exception and len(app.dataframe[-1].value) == 24
    assert "selected" not in app.query_params

    # A request that the browser sent before it received the new address does not undo the selection.
    app.query_params["selected"] = chosen
    app.run()
    assert not app.exception and len(app.dataframe[-1].value) == 24
    assert "selected" not in app.query_params


@pytest.mark.usefixtures("environment")
def test_a_selection_that_is_cleared_early_is_removed_from_the_address(
    record: tuple[Path, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = record
    rows, _dummy = rollouts.target_page(path, TENANT, FLEET, rollouts.TargetFilter(sort="Start"), now)
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
    app = AppTest.from_file(str(CHECKOUT / "console" / "app.py"), default_timeout=60)
    app.query_params["id"], app.query_params["selected"] = FLEET, rows["target_id"].tolist()[:2]
    app.switch_page("web/rollouts/rollout.py").run()
    clear = next(button for button in app.button if button.label == "Clear selection")
    addresses: list[str] = []
    enqueue = ScriptRunContext.enqueue

    def listen(context: ScriptRunContext, message: ForwardMsg) -> None:
        if message.HasField("page_info_changed"):
            addresses.append(message.page_info_changed.query_string)
        enqueue(context, message)

    monkeypatch.setattr(ScriptRunContext, "enqueue", listen)
    # The request has the address from before the selection.
    del app.query_params["selected"]
    clear.click().run()
    assert not app.exception and addresses and "selected" not in addresses[-1]


def test_the_usual_duration_comes_from_earlier_rollouts_only(record: tuple[Path, float]) -> None:
    path, now = record
    instances = [ident(n, 0xB0) for n in range(3)]
    before = now - 9000
    found = durations.usual_runs(path, TENANT, FLEET, before, instances).set_index("instance_id")
    # The second target always fails: its usual duration is unknown.
    assert sorted(found.index) == sorted(["", instances[0], instances[2]])
    assert found.loc[instances[0], "deploys"] == 4
    earlier, _dummy = rollouts.target_page(path, TENANT, ident(20, 0x11), rollouts.TargetFilter(sort="Start"), now)
    took = earlier.set_index("instance_id")["took_s"]
    assert found.loc[instances[0], "p50_s"] == pytest.approx(took[instances[0]], abs=0.01)
    good = earlier.loc[earlier["status"] == "succeeded", "took_s"]
    assert found.loc["", "deploys"] == 4 * len(good)
    assert good.median() - 3 < found.loc["", "p50_s"] <= found.loc["", "p95_s"] <= good.max() + 0.01
    # Before the first rollout there is no history.
    assert not len(durations.usual_runs(path, TENANT, FLEET, now - 40_000, instances))
