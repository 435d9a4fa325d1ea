# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API as a source of a follower: it is read as in a sync, but only what may have changed."""

from __future__ import annotations

import time
from dataclasses import replace

from console.collect import follow_pace
from console.collect.api.session import ApiOptions, ApiReport, PreviousReads, Reading
from console.collect.api.sync import sync_api, tenant_of
from console.collect.follow import FollowError
from console.collect.progress import Progress, ReadReport
from console.record.write.store import Store
from console.settings.api_client import open_client
from console.settings.environment import ApiConnection

# The follower itself tries again; one retry is kept for a connection that the server has closed in the meantime.
RETRIES = 1


class Api:
    """One tenant's API. The first read is a complete sync, except for instances that were read recently. Raises
    SettingsError for a connection that cannot be used."""

    def __init__(self, connection: ApiConnection, options: ApiOptions, pace: follow_pace.Pace) -> None:
        retries = min(connection.retries, RETRIES)
        self._client = open_client(replace(connection, retries=retries), read_only=True)
        self._options, self._pace = options, pace
        self.tenant = tenant_of(self._client)
        # An audit whose summary has changed costs a second call.
        self._calls_each = len(options.details) + 2 * options.audit
        self._previous = PreviousReads()
        self._credit, self._used, self._ever_read = 0.0, 0.0, False
        self._policy_at = self._whole_list_at = 0.0
        self._read_at: float | None = None

    def close(self) -> None:
        self._client.close()

    def read(self, store: Store, *, progress: Progress) -> ReadReport:
        """Read what may have changed. Raises FollowError if the server refuses the key or, at the first read, if the
        address or the certificate is wrong."""
        reading = self._reading()
        if self._read_at is None:
            self._previous.details_at = self._details_at(store)
        report = sync_api(
            store,
            self._client,
            now=time.time,
            options=self._options,
            progress=progress,
            reading=reading,
            previous=self._previous,
        )
        self._read_at = time.monotonic()
        return self._finish(report, reading)

    def _reading(self) -> Reading:
        if self._read_at is None:
            return Reading(details_after=self._pace.details_interval)
        now = time.monotonic()
        # A longer pause, because the API was not available, is not made up for.
        seconds = min(now - self._read_at, self._pace.idle_interval)
        whole_list_every = (
            follow_pace.WHOLE_LIST_OF_MANY_EVERY if self._previous.has_more else follow_pace.WHOLE_LIST_EVERY
        )
        self._credit = follow_pace.credit(self._credit, seconds, self._used, self._pace)
        return Reading(
            policy=now - self._policy_at >= min(follow_pace.POLICY_EVERY, self._pace.idle_interval),
            whole_list=now - self._whole_list_at >= whole_list_every,
            rollouts=follow_pace.rollouts_at_once(seconds),
            unmoved_after=self._pace.idle_interval,
            instances=follow_pace.instances_at_once(self._credit, self._calls_each),
            details_after=self._pace.details_interval,
            workers=2,
        )

    def _details_at(self, store: Store) -> dict[str, float]:
        """When the audit and details of each instance were last read, if the database has all that are to be read."""
        kinds = [*self._options.details, *(["audit"] if self._options.audit else [])]
        times: dict[str, list[float]] = {}
        for kind in kinds:
            for scope, cursor in store.cursors(kind).items():
                tenant, _bar, instance_id = scope.rpartition("|")
                if tenant == self.tenant and cursor.last_ok_at is not None:
                    times.setdefault(instance_id, []).append(cursor.last_ok_at)
        return {instance_id: min(known) for instance_id, known in times.items() if len(known) == len(kinds)}

    def _finish(self, report: ApiReport, reading: Reading) -> ReadReport:
        is_first = reading.instances is None
        self._used = 0.0 if is_first else 2.0 * report.rollouts + report.details + 2.0 * report.instances
        error = report.ended_by
        if error is not None:
            if follow_pace.is_final(error.kind, ever_read=self._ever_read):
                raise FollowError(f"The API was not read, and the follower has stopped: {error}")
            report.away = f"The API was not read: {error}"
            return report
        self._ever_read = True
        if reading.policy:
            self._policy_at = time.monotonic()
        if reading.whole_list:
            self._whole_list_at = time.monotonic()
        return report
