# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the audit of one instance (E20) is read at one sync."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    AUDIT_PAGE,
    AUDIT_TIMES,
    FleetClient,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import (
    NEWEST_FIRST,
    Listing,
    order_of,
    read_list,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record

# Of an instance whose events are known, so many of the newest are asked for first.
_NEWS = 100
# Late events are put below known ones: a deeper walk goes on over so many known events before it stops.
_OVERLAP = 50


@dataclass(frozen=True)
class AuditRead:
    """The newest audit events of one instance. ``met``: a known one is among them; ``whole``: there are no others;
    ``deeper``: read as far back as was asked for, past known ones."""

    events: list[Record]
    summary: Record
    met: bool
    whole: bool
    deeper: bool
    read_at: float


def read_events(client: FleetClient, instance_id: str, most: int, known: Collection[str]) -> Listing:
    """Up to ``most`` of the newest events, ending some way below the newest ``known`` ones (their ids).

    One call where the server lists the newest first and a known one is among them. A server that lists the oldest
    first, or in an order that no time shows, has its list read to the end. Raises ApiError.
    """

    def fetch(limit: int, offset: int) -> list[Record]:
        return client.list_audit_events(instance_id, limit=limit, offset=offset)

    ahead = [fetch(min(most, _NEWS if known else AUDIT_PAGE), 0)]
    if order_of(ahead[0], AUDIT_TIMES) == NEWEST_FIRST and any(str(row.get("id")) in known for row in ahead[0]):
        return Listing(ahead[0], whole=False)
    seen: set[str] = set()

    def enough(row: Record) -> bool:
        if str(row.get("id")) in known:
            seen.add(str(row.get("id")))
        return len(seen) > _OVERLAP

    return read_list(
        lambda limit, offset: ahead.pop() if ahead else fetch(limit, offset),
        page=AUDIT_PAGE,
        most=most,
        until=enough,
        times=AUDIT_TIMES,
    )
