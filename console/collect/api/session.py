# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One sync of one tenant: where it reads from, where it stores, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import HOPELESS, Pool
from console.collect.api.options import ApiOptions, ApiReport
from console.collect.api.reading import Memory, Reading
from console.collect.progress import Progress
from console.record.write.store import Store


class Session:
    """What all parts of a sync share. ``client`` is for the calls that are made one at a time, ``pool`` for many."""

    def __init__(
        self,
        store: Store,
        client: FleetClient,
        pool: Pool,
        tenant: str,
        now: Callable[[], float],
        options: ApiOptions,
        progress: Progress,
        reading: Reading,
        memory: Memory,
    ) -> None:
        self.report = ApiReport()
        self.reading, self.memory = reading, memory
        self.store, self.client, self.pool = store, client, pool
        self.tenant, self.now, self.options, self.progress = tenant, now, options, progress
        self._hopeless = False

    @property
    def hopeless(self) -> bool:
        """Whether a call failed as every further one would: there is nothing left to try."""
        return self._hopeless or self.pool.hopeless

    def failed(self, error: ApiError, what: str, *, ends: bool = False) -> None:
        """Report what could not be read. ``ends``: nothing can be read without it."""
        self.report.problems.append(f"{what}: {error}")
        self.note(error)
        if ends:
            self.report.ended_by = self.report.ended_by or error

    def note(self, error: ApiError) -> None:
        """Note an error that is reported elsewhere: whether every further call would fail alike."""
        if error.kind in HOPELESS:
            self._hopeless = True
            self.report.ended_by = self.report.ended_by or error
