# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API -> store, instance by instance: health (E16), updates (E25), actions (E11), memories counted (E17).

Each kind costs one call an instance, so each is read only when asked for. Health is the record that the server has
stored: nothing is measured for a sync. Up to 8 calls at once; what fails is named and does not stop the rest, unless
it would fail for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ACTIONS_CAP,
    MEMORY_CAP,
    FleetClient,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import HOPELESS, NotCalled, in_pool
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, count
from console.collect.api.instance_records import action_rows, health_rows, memory_rows, update_rows
from console.collect.progress import Progress
from console.record.rows import Cursor, InstanceRows, Row
from console.record.write.store import Store

WORKERS = 8
_INSTANCES_AT_ONCE = 32

KINDS = ("health", "updates", "actions", "memory")
"""What may be read of an instance; the words are also the sources of its cursors."""

_READ: dict[str, Callable[[FleetClient, str], Record]] = {
    "health": lambda client, instance_id: client.get_deep_health(instance_id),
    "updates": lambda client, instance_id: client.get_available_updates(instance_id),
    "actions": lambda client, instance_id: client.list_instance_actions(instance_id, limit=ACTIONS_CAP),
    "memory": lambda client, instance_id: client.list_memories(instance_id, limit=MEMORY_CAP),
}


@dataclass(frozen=True)
class _Look:
    """One call: which kind, of which instance, by which of its names."""

    kind: str
    instance_id: str
    name: str


class InstanceSync:
    """Reads ``kinds`` of the given instances. Afterwards: ``read`` calls that came back, ``notes``,
    ``problems``, and whether it was ``hopeless``: every further call would have failed alike."""

    def __init__(self, store: Store, client: FleetClient, tenant: str, now: Callable[[], float]) -> None:
        self.read = 0
        self.notes: list[str] = []
        self.problems: list[str] = []
        self._store, self._client, self._tenant, self._now = store, client, tenant, now
        self._failed: dict[str, list[tuple[str, ApiError]]] = defaultdict(list)
        self._gone: set[str] = set()
        self.hopeless = False

    def run(self, instances: Sequence[Row], kinds: Sequence[str], progress: Progress) -> None:
        """Read and store. ``instances``: rows with instance_id and hostname."""
        for start in range(0, len(instances), _INSTANCES_AT_ONCE):
            part = instances[start : start + _INSTANCES_AT_ONCE]
            looks = [_Look(k, i["instance_id"], i["hostname"] or i["instance_id"]) for i in part for k in kinds]
            read_at = self._now()
            # A memory's content must not stay anywhere: the answer is counted in the thread that read it.
            for look, answer in zip(
                looks, in_pool(self._client, [self._call(look) for look in looks], workers=WORKERS), strict=True
            ):
                self._take(look, answer, read_at)
            progress(min(start + _INSTANCES_AT_ONCE, len(instances)), len(instances), ", ".join(kinds))
            if self.hopeless:
                break
        self._tell()

    def _call(self, look: _Look) -> Callable[[FleetClient], Any]:
        def call(client: FleetClient) -> Any:
            answer = _READ[look.kind](client, look.instance_id)
            return memory_rows(self._tenant, look.instance_id, answer) if look.kind == "memory" else answer

        return call

    def _take(self, look: _Look, answer: Any, read_at: float) -> None:
        if isinstance(answer, NotCalled):
            self.hopeless = True
            return
        cursor = self._store.cursor(look.kind, self._scope(look)) or Cursor(look.kind, self._scope(look))
        if isinstance(answer, ApiError):
            self.hopeless = self.hopeless or answer.kind in HOPELESS
            if answer.kind == "not_found":
                self._gone.add(look.name)
            else:
                self._failed[look.kind].append((look.name, answer))
            cursor.last_error = f"{look.name}, {look.kind}: {answer}"
            self._store.put_cursor(cursor)
            return
        rows = self._rows(look, answer, read_at, cursor)
        cursor.last_error, cursor.last_ok_at = None, self._now()
        self._store.put_instance(rows, cursor)
        self.read += 1

    def _rows(self, look: _Look, answer: Any, read_at: float, cursor: Cursor) -> InstanceRows:
        if look.kind == "health":
            return health_rows(self._tenant, look.instance_id, answer, read_at)
        if look.kind == "updates":
            return update_rows(self._tenant, look.instance_id, answer, read_at)
        if look.kind == "memory":
            rows: InstanceRows = answer
            return rows
        actions = action_rows(self._tenant, look.instance_id, answer)
        listed, total = len(answer["actions"]) if actions else 0, count(answer.get("total"))
        if listed >= ACTIONS_CAP or total > listed:
            self._note_gap(look, actions, cursor, listed)
        return InstanceRows(actions=actions)

    def _note_gap(self, look: _Look, actions: Sequence[Row], cursor: Cursor, listed: int) -> None:
        """More actions than the API lists since the last look: what lies between can never be read."""
        newest = self._store.instances.newest_action(self._tenant, look.instance_id)
        ids = [row["action_id"] for row in actions]
        if newest is None or self._store.instances.known_actions(self._tenant, look.instance_id, ids):
            return
        times = [row["created_at"] for row in actions if row["created_at"] is not None]
        cursor.gap_from, cursor.gap_to = newest, min(times, default=self._now())
        self.notes.append(
            f"Instance {look.name} had more than {listed} actions since the last look;"
            " those in between cannot be read any more. Sync its actions more often."
        )

    def _scope(self, look: _Look) -> str:
        return f"{self._tenant}|{look.instance_id}"

    def _tell(self) -> None:
        for kind, failed in self._failed.items():
            name, error = failed[0]
            others = len(failed) - 1
            more = f" (and {others} more instance{'s' if others > 1 else ''})" if others else ""
            self.problems.append(f"The {kind} of instance {name}{more} was not read: {error}")
        if self._gone:
            names = sorted(self._gone)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self.notes.append(f"Gone from the API: {', '.join(names[:3])}{more}; what was read of them before is kept.")
