# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the pages for instances: the table, update policies, and differences from the declared state."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from ansible_collections.fleetops.agents.plugins.module_utils._rules.fleet_state import state_lines
from ansible_collections.fleetops.agents.plugins.module_utils._rules.policy import COMPONENTS
from console.record.read.declared import Comparison, override_words
from console.text.counts import counted
from console.text.json_values import entries
from console.web import pages
from console.web.shared import lists, markup, viewer

OVERRIDES, DIFFERS = "Overrides the policy", "Differs from declared"
COMPARE = "ansible-playbook fleetops.agents.fleet_state -i INVENTORY -e fleetops_fleet_state_file=FILE --check"


def table(found: pd.DataFrame, compared: Comparison | None, tally: Mapping[str, int]) -> Markup:
    """Instances, each with a link to its page. If its update policy differs from the declared one, both are shown. What
    was not read of any instance, according to ``tally``, has no column."""

    def policy(row: dict[str, Any]) -> Markup:
        own = row["overrides"] or markup.small("not read" if row["overrides"] is None else "inherits")
        wanted = compared.wanted(row["host"], row["instance_id"]) if compared else ""
        instead = (markup.badge("differs"), markup.small(f"declared: {wanted}")) if wanted else ()
        return markup.joined((own, *instead), " ")

    columns = [
        markup.Column("health", _health),
        markup.host(),
        markup.text("open problem", "problem", "rest"),
        markup.status("last rollout", "last_status", markup.small("none"), "rest"),
        markup.Column("runtime", _runtime, "short"),
        markup.Column("updates waiting", updates_waiting, "rest"),
        *([markup.Column("update policy", policy, "rest")] if tally["policies_read"] or compared else []),
        markup.when("last deploy", "deployed_at", "time fo-rest"),
        *([markup.Column("memories", _memories, "number fo-rest")] if tally["with_memory"] else []),
        markup.Column("bundle", _bundle, "short fo-rest"),
    ]
    return markup.table(columns, found, "Instances")


def _health(row: dict[str, Any]) -> Markup:
    known = markup.badge(row["health"]) if row["health"] else markup.small("not read")
    return markup.joined(
        (known, markup.small("before the last deploy" * (row["checked_at"] < row["deployed_at"]))), " "
    )


def _runtime(row: dict[str, Any]) -> str:
    current, available = row["runtime_current"] or "", row["runtime_available"] or ""
    return f"{current} → {available}" if current and available and current != available else current


def updates_waiting(row: Mapping[str, Any]) -> str:
    """The kinds of waiting updates, with their numbers: 'runtime, 2 skills, 1 server, 1 other'; '' if none waits."""
    if not row["outdated"] > 0:
        return ""
    listed = entries(row["components_json"])
    kinds = Counter(str(entry.get("name") or "").partition("/")[0] for entry in listed if entry.get("outdated"))
    words = {"skills": "skill", "mcp_servers": "server"}
    parts = [counted(kinds[kind], word) for kind, word in words.items() if kinds[kind]]
    other = int(row["outdated"]) - sum(kinds[kind] for kind in ("runtime", *words))
    return ", ".join(["runtime"] * (kinds["runtime"] > 0) + parts + [f"{other:,} other"] * (other > 0))


def _memories(row: dict[str, Any]) -> str:
    more = " or more" if row["memories_full"] else ""
    return "" if math.isnan(row["memories"]) else f"{int(row['memories']):,}{more}"


def _bundle(row: dict[str, Any]) -> str:
    """The beginning of a digest, long enough to distinguish it from others."""
    digest = (row["current_bundle"] or "").removeprefix("sha256:")
    return f"{digest[:12]}…" if len(digest) > 12 else digest


def declared(tally: Mapping[str, int], compared: Comparison | None) -> None:
    """How many instances have their own update policy, and how many differ from the declared state."""
    read, own = tally["policies_read"], tally["overriding"]
    if not read:
        policies: Markup | str = "not read; a sync with --updates reads them"
    else:
        label = f"{own:,} of {counted(read, 'instance')}"
        policies = markup.link(label, pages.INSTANCES, instances_only=OVERRIDES) if own else f"none of {read:,}"
    parts = [markup.joined(("Instances with their own update policy: ", policies, "."))]
    if compared is not None:
        count = len(compared.instances)
        differ = f"{counted(count, 'instance')} differ{'s' if count == 1 else ''}"
        if compared.cut:
            differ = f"at least {differ}"
        label = markup.link(differ, pages.INSTANCES, instances_only=DIFFERS) if count else "no instance differs"
        tenant = ", and so does the tenant's policy" if count else ", but the tenant's policy does"
        parts.append(
            markup.joined(("Declared state: ", label, tenant if compared.tenant else "", " (", by_whom(compared), ")."))
        )
    markup.draw(markup.paragraph(*parts))


def comparison(compared: Comparison | None) -> None:
    """The report of the comparison in a closed expander, or the command for a comparison. It is below the list, which
    shows the differences of each instance."""
    if compared is None:
        with st.expander("The fleet has not been compared with a declared state", icon=":material/info:"):
            st.text("This command compares the fleet with the state that is declared in a file, and changes nothing:")
            lists.code(COMPARE)
        return
    words = _words(compared)
    if words:
        with st.expander("Comparison with the declared state", icon=":material/difference:"):
            markup.draw(*map(markup.paragraph, words))
            if compared.cut:
                st.caption("The report was too long for the run log, which contains only part of it.")


def _words(compared: Comparison) -> list[str]:
    try:
        return state_lines(compared.report)
    except (AttributeError, KeyError, TypeError):
        # The run log may be from another version, or the report in it may be incomplete.
        return [f"{host}: {compared.of(host)}" for host in compared.instances]


def by_whom(compared: Comparison) -> Markup:
    """A link to the run that made the comparison, and its time."""
    name = "fleet_state, check" if compared.check_mode else "fleet_state"
    return markup.joined((markup.link(name, pages.OPERATION, id=compared.run_id), viewer.day_moment(compared.at)), ", ")


def of_instance(known: Mapping[str, Any], compared: Comparison | None) -> Markup:
    """One line: the modes that the instance sets itself, and how it differs from the declared state."""
    own = override_words(known["policy_json"])
    if own is None:
        sentence = "Update policy: not read; a sync with --updates reads it."
    elif not own:
        sentence = "Update policy: all inherited from the tenant."
    else:
        rest = ", the rest inherited from the tenant" if len(own.split(", ")) < len(COMPONENTS) else ""
        sentence = f"Own update policy: {own}{rest}."
    differs = compared.of(known["host"]) or compared.of(known["instance_id"]) if compared else ""
    if compared is None or not differs:
        return markup.paragraph(sentence)
    difference = markup.joined((f"from the declared state: {differs} (", by_whom(compared), ")."))
    return markup.paragraph(sentence, markup.badge("differs"), difference)
