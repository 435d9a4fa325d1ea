# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several sessions of a served console while a sync writes; tests/bench/console_sessions.py uses twenty."""

from __future__ import annotations

import time
from pathlib import Path

from console.record.read import freshness
from tests.console.support.crowd import Stop, syncing, visit_all
from tests.console.support.seeded import FLEET, OPEN, RUN, seed_small
from tests.console.support.served import serving
from tests.simulator.running import running_simulator

STOPS = (
    Stop("", "", "Overview"),
    Stop("operation", f"id={OPEN}", "fleet rollout"),
    Stop("rollout", f"id={FLEET}", "Rollout, fleet"),
    Stop("run", f"id={RUN}", "rolling_redeploy"),
    Stop("audit", "", "Audit summary"),
)

# Settings that a user may have for other apps of Streamlit; in a file config.toml they are the same.
OF_OTHER_APPS = {
    "STREAMLIT_GLOBAL_DEVELOPMENT_MODE": "true",
    "STREAMLIT_RUNNER_ENFORCE_SERIALIZABLE_SESSION_STATE": "true",
    "STREAMLIT_SERVER_BASE_URL_PATH": "other/app",
    "STREAMLIT_SERVER_SSL_CERT_FILE": "other.pem",
    "STREAMLIT_SERVER_SSL_KEY_FILE": "other.key",
}


def test_five_sessions_at_once_get_every_page_while_a_sync_writes(tmp_path: Path) -> None:
    database, run_logs = tmp_path / "console.db", tmp_path / "runs"
    seed_small(database, run_logs, time.time())
    (seeded,) = freshness.freshness(database).tenants
    with running_simulator(instances=12) as simulator, serving(database, run_logs, OF_OTHER_APPS) as server:
        assert simulator.call("POST", "/v1/instances/fleet/runtime/rollout")[0] == 200
        with syncing(database, run_logs, simulator.environment()) as syncs:
            crowd = visit_all(server, STOPS, sessions=5, turns=6, timeout=30)
        log = server.log.read_text()
    assert crowd.troubles == []
    assert syncs.troubles == []
    assert syncs.count >= 1
    # Each of the five pages six times, and the two live pages refresh once more.
    assert {heading: len(times) for heading, times in crowd.seconds.items()} == {
        "Overview": 12,
        "fleet rollout": 12,
        "Rollout, fleet": 6,
        "rolling_redeploy": 6,
        "Audit summary": 6,
    }
    assert "Traceback" not in log
    # The simulator's fleet belongs to another tenant; each tenant has its own time of the last read.
    read_at = {tenant.tenant: tenant.at for tenant in freshness.freshness(database).tenants}
    assert len(read_at) == 2 and read_at.pop(seeded.tenant) == seeded.at
    assert all(at is not None and seeded.at is not None and at > seeded.at for at in read_at.values())
    assert simulator.admin_key not in log
