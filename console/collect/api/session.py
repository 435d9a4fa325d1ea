# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One sync of one tenant: its options, connections and report, and what a follower remembers between reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import HOPELESS, Pool
from console.collect.progress import Progress, ReadReport
from console.record.rows import Cursor, RolloutRead
from console.record.write.store import Store


@dataclass(frozen=True)
class ApiOptions:
    """What is read of one tenant.

    rollouts: how many of the newest are listed. audit_events: how many events back the audit of each instance is read;
    known ones are not read again. details: what else is read of each instance, from ``instances.KINDS``, one call each.
    instances: the ids or host names of those whose audit and details are read, all known ones if empty.
    """

    rollouts: int = 1000
    audit: bool = True
    audit_events: int = 500
    details: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass
class ApiReport(ReadReport):
    """What one sync with the API did. ``ended_by``: the error after which nothing more could be read."""

    rollouts: int = 0
    targets: int = 0
    instances: int = 0
    audit_events: int = 0
    details: int = 0
    ended_by: ApiError | None = None


@dataclass(frozen=True)
class Reading:
    """What one read covers. The defaults are those of a one-time sync: everything.

    policy: whether the update policy is read. whole_list: list as many rollouts as the options say; if false, at most
    one page, and only down to rollouts that are stored as ended. rollouts: for how many rollouts at most the targets
    are read (None: all); the others are left for later reads. unmoved_after: seconds after which the targets of an open
    rollout are read again although it has not changed. instances: for how many instances at most the audit and the
    details are read (None: all). details_after: seconds after which those of one instance are read again. workers: the
    number of simultaneous calls.
    """

    policy: bool = True
    whole_list: bool = True
    rollouts: int | None = None
    unmoved_after: float = 0.0
    instances: int | None = None
    details_after: float = 0.0
    workers: int = 8


@dataclass
class PreviousReads:
    """When things were last read (epoch seconds, by id); empty for a one-time sync.

    tried_at: when the targets of an open rollout were last requested. details_at: when the audit and details of an
    instance were last requested. ended_at: when a redeploy of an instance was first seen to have ended; removed when
    its details are requested. has_more: the latest read listed a full page without reaching a rollout that is stored as
    ended, so there may be more new ones.
    """

    tried_at: dict[str, float] = field(default_factory=dict)
    details_at: dict[str, float] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)
    has_more: bool = False
    _ended: dict[str, set[str]] = field(default_factory=dict)

    def note_read(self, read: RolloutRead) -> None:
        """Remember that a rollout was read, and which of its targets have ended since the previous read."""
        rollout_id, at = read.rollout["rollout_id"], read.read_at
        self.tried_at[rollout_id] = at
        if read.targets is not None:
            ended = {t["target_id"]: t["instance_id"] for t in read.targets if not t["is_open"]}
            newly_ended = ended.keys() - self._ended.get(rollout_id, set())
            self.ended_at.update({ended[target_id]: at for target_id in newly_ended if ended[target_id]})
            self._ended[rollout_id] = set(ended)
            if not read.rollout["is_open"]:
                del self._ended[rollout_id], self.tried_at[rollout_id]


@dataclass
class Session:
    """What all parts of a sync share. ``client`` is for single calls, ``pool`` for many at a time."""

    store: Store
    client: FleetClient
    pool: Pool
    tenant: str
    now: Callable[[], float]
    options: ApiOptions
    progress: Progress
    reading: Reading
    previous: PreviousReads
    report: ApiReport = field(default_factory=ApiReport)
    _hopeless: bool = False

    @property
    def hopeless(self) -> bool:
        """Whether a call failed with an error that every further call would get too."""
        return self._hopeless or self.pool.hopeless

    def is_older(self, at: float, cursor: Cursor | None) -> bool:
        """Whether another sync has read the source of ``cursor`` after ``at``. A time in the future is ignored."""
        return cursor is not None and at < (cursor.last_ok_at or 0.0) <= self.now()

    def failed(self, error: ApiError, what: str, *, ends: bool = False) -> None:
        """Report what could not be read. ``ends``: nothing can be read without it."""
        self.report.problems.append(f"{what}: {error}")
        self.note(error)
        if ends:
            self.report.ended_by = self.report.ended_by or error

    def note(self, error: ApiError) -> None:
        """Check an error that is reported elsewhere: if every further call would get it too, the sync ends."""
        if error.kind in HOPELESS:
            self._hopeless = True
            self.report.ended_by = self.report.ended_by or error
