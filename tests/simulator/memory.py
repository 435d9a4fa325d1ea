# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mnemo memories of an instance (E17 to E19): a list that can be filtered, added to and cleared, without paging."""

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
    """The rows, oldest first; created from the seed at the first access."""
    if instance.memories is None:
        rng = random.Random(f"{engine.seed}-memory-{instance.index}")
        ids = Ids(f"{engine.seed}-memory-ids-{instance.index}")
        span = max(0.0, engine.started - instance.born)
        instance.memories = [
            {
                "id": ids.take(),
                "kind": rng.choice(("fact", "procedural")),
                "content": rng.choice(FACTS),
                "conversation_id": f"conv-{rng.randint(1, 4)}",
                "customer_id": f"cust-{rng.randint(1, 3)}",
                "created_at": moment,
            }
            for moment in sorted(instance.born + rng.uniform(0, span) for _dummy in range(rng.randint(0, 12)))
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
    """E18: every call adds a row, even if the content is the same."""
    row = {**body, "id": engine.ids.take(), "created_at": engine.now}
    memories_of(engine, instance).append(row)
    return row


def clear(engine: Engine, instance: Instance, body: dict[str, Any]) -> int:
    """E19: delete the rows that match the ids in the body; an empty body matches all rows."""
    rows = memories_of(engine, instance)
    doomed = {id(row) for row in select(rows, body.get("conversation_id"), body.get("customer_id"))}
    instance.memories = [row for row in rows if id(row) not in doomed]
    return len(doomed)
