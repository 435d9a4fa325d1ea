# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mnemo memories of an instance (E17 to E19): a list that can be filtered, added to and cleared, never paged."""

from __future__ import annotations

import random
from typing import Any

from tests.simulator.engine import Engine
from tests.simulator.fleet import Ids, Instance

FACTS = (
    "prefers invoices as PDF",
    "office hours are 09:00-17:00 CET",
    "ask before sending mail to the board",
    "ticket numbers start with OPS-",
    "the warehouse is closed on Mondays",
)


def memories_of(engine: Engine, instance: Instance) -> list[dict[str, Any]]:
    """Rows oldest first, seeded at the first look."""
    if instance.memories is None:
        chance = random.Random(f"{engine.seed}-memory-{instance.index}")
        ids = Ids(f"{engine.seed}-memory-ids-{instance.index}")
        span = max(0.0, engine.started - instance.born)
        instance.memories = [
            {
                "id": ids.take(),
                "kind": chance.choice(("fact", "procedural")),
                "content": chance.choice(FACTS),
                "conversation_id": f"conv-{chance.randint(1, 4)}",
                "customer_id": f"cust-{chance.randint(1, 3)}",
                "created_at": moment,
            }
            for moment in sorted(instance.born + chance.uniform(0, span) for _dummy in range(chance.randint(0, 12)))
        ]
    return instance.memories


def select(rows: list[dict[str, Any]], conversation_id: Any, customer_id: Any) -> list[dict[str, Any]]:
    return [
        row
        for row in rows
        if (conversation_id is None or row.get("conversation_id") == conversation_id)
        and (customer_id is None or row.get("customer_id") == customer_id)
    ]


def store(engine: Engine, instance: Instance, body: dict[str, Any]) -> dict[str, Any]:
    """E18: every call is a new row, also with the same content."""
    row = {**body, "id": engine.ids.take(), "created_at": engine.now}
    memories_of(engine, instance).append(row)
    return row


def clear(engine: Engine, instance: Instance, body: dict[str, Any]) -> int:
    """E19: what the ids in the body select; an empty body selects everything."""
    rows = memories_of(engine, instance)
    doomed = {id(row) for row in select(rows, body.get("conversation_id"), body.get("customer_id"))}
    instance.memories = [row for row in rows if id(row) not in doomed]
    return len(doomed)
