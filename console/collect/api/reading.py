# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of the API one read covers, and what a follower remembers from one read to the next."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from console.record.rows import RolloutRead


@dataclass(frozen=True)
class Reading:
    """What one read covers. As it stands here: everything, which is what a sync that is run once reads.

    policy: whether it is read. whole_list: list the rollouts as far as asked for; else one page at most, down to those
    that are known and ended. rollouts: how many are read with their targets at most, the others later. unmoved_after:
    an open rollout that stands as it stood is read again after so many seconds. instances: of how many the audit and
    the details are read at most. details_after: of an instance, after so many seconds. workers: calls at once.
    """

    policy: bool = True
    whole_list: bool = True
    rollouts: int | None = None
    unmoved_after: float = 0.0
    instances: int | None = None
    details_after: float = 0.0
    workers: int = 8


@dataclass
class Memory:
    """What was read when (epoch seconds); empty for a sync that is run once.

    tried_at: of open rollouts, when their targets were last asked for. same_at: when a rollout was last seen to stand
    as stored. details_at: of instances, when their audit and details were asked for. ended_at: when a redeploy of an
    instance was seen to have ended. has_more: the page that was listed last showed nothing but what is new or open.
    """

    tried_at: dict[str, float] = field(default_factory=dict)
    same_at: dict[str, float] = field(default_factory=dict)
    details_at: dict[str, float] = field(default_factory=dict)
    ended_at: dict[str, float] = field(default_factory=dict)
    has_more: bool = False
    _ended: dict[str, set[str]] = field(default_factory=dict)

    def is_waiting(self, rollout_id: str, now: float, unmoved_after: float) -> bool:
        """Whether the targets of a rollout were asked for within the last ``unmoved_after`` seconds."""
        return now - self.tried_at.get(rollout_id, -math.inf) < unmoved_after

    def note_read(self, read: RolloutRead) -> None:
        """Remember that a rollout was read, and which instances it has done with since it was read before."""
        rollout_id, at = read.rollout["rollout_id"], read.read_at
        self.tried_at[rollout_id] = at
        if read.targets is not None:
            ended = {t["target_id"]: t["instance_id"] for t in read.targets if not t["is_open"]}
            news = ended.keys() - self._ended.get(rollout_id, set())
            self.ended_at.update({ended[target_id]: at for target_id in news if ended[target_id]})
            self._ended[rollout_id] = set(ended)
            self.same_at[rollout_id] = at
            if not read.rollout["is_open"]:
                for part in (self._ended, self.tried_at, self.same_at):
                    part.pop(rollout_id, None)

    def note_details(self, instance_ids: Collection[str], at: float) -> None:
        """Remember that the audit and the details of instances were asked for."""
        self.details_at.update(dict.fromkeys(instance_ids, at))
        for instance_id in instance_ids:
            self.ended_at.pop(instance_id, None)
