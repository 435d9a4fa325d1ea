# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the page Instances."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pandas as pd
from markupsafe import Markup

from console.record.read.declared import Comparison
from console.text.json_values import entries
from console.web.shared import markup


def of_instances(found: pd.DataFrame, compared: Comparison | None) -> Markup:
    """Instances, each with a link to its page; beside its update policy what is declared instead."""

    def policy(row: dict[str, Any]) -> Markup:
        own = row["overrides"] or markup.small("not read" if row["overrides"] is None else "inherits")
        wanted = compared.wanted(row["host"], row["instance_id"]) if compared else ""
        declared = (markup.badge("differs"), markup.small(f"declared: {wanted}")) if wanted else ()
        return markup.joined((own, *declared), " ")

    columns = (
        markup.Column("health", _health),
        markup.host(),
        markup.text("open problem", "problem", "rest"),
        markup.status("last rollout", "last_status", markup.small("none"), "rest"),
        markup.Column("runtime", _runtime, "short"),
        markup.Column("updates waiting", _waiting, "rest"),
        markup.Column("update policy", policy, "rest"),
        markup.when("last deploy", "deployed_at", "time fo-rest"),
        markup.Column("memories", _memories, "number fo-rest"),
        markup.Column("bundle", _bundle, "short fo-rest"),
    )
    return markup.table(columns, found, "Instances")


def _health(row: dict[str, Any]) -> Markup:
    known = markup.badge(row["health"]) if row["health"] else markup.small("not read")
    return markup.joined(
        (known, markup.small("before the last deploy" * (row["checked_at"] < row["deployed_at"]))), " "
    )


def _runtime(row: dict[str, Any]) -> str:
    current, available = row["runtime_current"] or "", row["runtime_available"] or ""
    return f"{current} → {available}" if current and available and current != available else current


def _waiting(row: dict[str, Any]) -> str:
    """The kinds of updates that wait, with their number: 'runtime, 2 skills, 1 server'."""
    if not row["outdated"] > 0:
        return ""
    listed = entries(row["components_json"])
    kinds = Counter(str(one.get("name") or "").partition("/")[0] for one in listed if one.get("outdated"))
    words = {"runtime": "runtime", "skills": "skill", "mcp_servers": "server"}
    return ", ".join(
        word if kind == "runtime" else f"{kinds[kind]} {word}{'s' if kinds[kind] > 1 else ''}"
        for kind, word in words.items()
        if kinds[kind]
    )


def _memories(row: dict[str, Any]) -> str:
    more = " or more" if row["memories_full"] else ""
    return "" if math.isnan(row["memories"]) else f"{int(row['memories']):,}{more}"


def _bundle(row: dict[str, Any]) -> str:
    """Enough of a digest to tell it from others."""
    digest = (row["current_bundle"] or "").removeprefix("sha256:")
    return f"{digest[:12]}…" if len(digest) > 12 else digest
