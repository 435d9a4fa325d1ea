# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports the recorded jobs of the simulated AWX."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from console.collect.jobs.awx import JobFilter, sync_awx
from console.collect.jobs.awx_client import AwxClient
from console.collect.jobs.import_job import ImportReport
from console.record.write.store import open_store
from console.settings.environment import ApiConnection
from tests.console.support.fake_awx import TOKEN, FakeAwx

# Shortly after the recording.
NOW = datetime.datetime(2026, 11, 23, 22, tzinfo=datetime.UTC).timestamp()


def load(
    awx: FakeAwx,
    database: Path,
    wanted: JobFilter | None = None,
    *,
    at: float = NOW,
    slept: list[float] | None = None,
    **changes: Any,
) -> ImportReport:
    """Run one import without waiting; ``slept`` receives the seconds that it would have waited."""
    connection = ApiConnection(**{"api_url": awx.url, "api_key": TOKEN, "retries": 0} | changes)
    client = AwxClient(connection, sleep=lambda seconds: None)
    waits = [] if slept is None else slept
    with open_store(database) as store:
        report = sync_awx(store, client, now=lambda: at, wanted=wanted, sleep=waits.append)
    client.close()
    return report
