# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One sync, for the command and for the button of a page: open the store, load the run logs, then read the API."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from console.collect.api.session import ApiOptions, ApiReport
from console.collect.api.sync import sync_api
from console.collect.progress import Progress, silent
from console.collect.run_logs import RunLogReport, sync_run_logs
from console.record.write.store import Store, open_store
from console.settings.api_client import open_client
from console.settings.environment import ApiConnection, Settings


@dataclass
class SyncReport:
    """What one sync did; a part that was not requested is None."""

    run_logs: RunLogReport | None = None
    api: ApiReport | None = None

    @property
    def problems(self) -> list[str]:
        """What could not be loaded, as sentences."""
        return [text for part in (self.run_logs, self.api) if part for text in part.problems]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing but is not an error, as sentences."""
        return [text for part in (self.run_logs, self.api) if part for text in part.notes]

    @property
    def summary(self) -> str:
        """One line of figures."""
        parts = []
        if self.run_logs:
            s = self.run_logs
            parts.append(f"runs with new events {s.runs}, events {s.events}, running {s.running}, lost {s.lost}")
            if s.removed:
                parts.append(f"run logs removed {s.removed}")
        if self.api:
            a = self.api
            parts.append(f"rollouts read {a.rollouts}, targets {a.targets}")
            parts.append(f"instances audited {a.instances}, new audit events {a.audit_events}")
            if a.details:
                parts.append(f"details of instances read {a.details}")
        return "; ".join(parts)


def load_run_logs(store: Store, settings: Settings, secrets: Sequence[str], progress: Progress) -> RunLogReport:
    """Load new lines from the run log folder. ``secrets``: texts that must not be stored."""
    return sync_run_logs(
        store,
        settings.run_log_dir,
        now=time.time,
        redactor=Redactor(secrets),
        remove_loaded=settings.remove_loaded,
        folder_may_be_missing=settings.run_log_dir_is_default,
        progress=progress,
    )


def sync_once(
    settings: Settings,
    *,
    connection: ApiConnection | None,
    run_logs: bool = True,
    api_options: ApiOptions | None = None,
    progress: Progress = silent,
) -> SyncReport:
    """Bring the database up to date. Without ``connection``, the API is not read.

    Raises DatabaseProblem if the database cannot be used, and SettingsError if the connection cannot be used. Other
    errors are in the report, and the rest is stored.
    """
    report = SyncReport()
    with ExitStack() as opened:
        client = opened.enter_context(closing(open_client(connection, read_only=True))) if connection else None
        store = opened.enter_context(open_store(settings.database))
        if run_logs:
            report.run_logs = load_run_logs(store, settings, [connection.api_key] if connection else [], progress)
        if client is not None:
            report.api = sync_api(store, client, now=time.time, options=api_options, progress=progress)
    return report
