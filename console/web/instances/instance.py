# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One instance: its state, its health over time, rollouts, actions, audit events and versions."""

from __future__ import annotations

import math
import shlex
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.figures import instance
from console.record.read import audit as audit_queries
from console.record.read import declared as declared_queries
from console.record.read import durations, freshness, instances
from console.text import file_formats, times
from console.text.counts import counted
from console.text.json_values import entries, parsed
from console.web import pages
from console.web.actions import buttons
from console.web.browser import auto_refresh
from console.web.instances import parts
from console.web.shared import cached, columns, links, lists, markup, messages, paging, plot, tables, viewer
from console.web.shared.paging import Listed, share

ID = links.resolved("instance")
SPANS = {"24 hours": 1, "7 days": 7, "30 days": 30}
OUTCOMES = ("success", "error", "denied")
HISTORY_DAYS = 7.0


def body() -> None:
    known = cached.ask(instances.instance, ID) if ID else None
    if known is None:
        messages.not_found("Instance", "instance", ID, pages.INSTANCES, "dns")
        return
    header(known)
    happened(known)
    health(known)
    deploys(known)
    actions(known)
    audit(known)
    versions(known)


def header(known: dict[str, Any]) -> None:
    title = lists.literal(known["host"] or f"Instance {links.short(known['instance_id'])}")
    behind = known["runtime_current"] and known["runtime_available"] not in (None, known["runtime_current"])
    statuses = [status for status in (known["health"], "outdated" if behind else None) if status]
    with messages.head(title, *statuses, tenant=known["tenant"]):
        share("instance")
    bundle = f" · bundle {known['current_bundle']}" if known["current_bundle"] else ""
    markup.draw(markup.paragraph(markup.small(f"id {known['instance_id']}{bundle}")))
    buttons.for_instance(known)
    if known["problem"]:
        messages.problem("open problem", known["problem"])
    full = " or more" if known["memories_full"] else ""
    figures = {
        "Runtime": known["runtime_current"] or "not read",
        "Available": known["runtime_available"] or "not read",
        "Updates waiting": "not read" if known["outdated"] is None else parts.updates_waiting(known) or "none",
        "Last deploy": viewer.day_moment(known["deployed_at"]) or "none known to succeed",
        "Uptime": times.duration(known["uptime_s"]) or ("unknown" if known["health"] else "not read"),
        "Memories": "not read" if known["memories"] is None else f"{known['memories']:,}{full}",
    }
    markup.draw(markup.strip(figures), parts.of_instance(known, cached.ask(declared_queries.comparison)))


def to_read(sentence: str, how: str, known: dict[str, Any], flag: str) -> None:
    """Show ``sentence``, which says what was never read for this instance, and ``how`` to read it, with the command."""
    if cached.is_copy():
        st.text(sentence)
        return
    st.text(f"{sentence} {how}")
    # Quoted, because the id comes from the server and the line is pasted into a shell.
    words = ["sync", *([flag] if flag else []), "--instance", shlex.quote(known["instance_id"])]
    lists.code(messages.command(" ".join(words)))


def as_of(known: dict[str, Any], kind: str) -> str:
    at = known[f"{kind}_at"]
    return f"read {viewer.moment(at, '%Y-%m-%d %H:%M')} ({viewer.ago(at)})" if at else ""


def happened(known: dict[str, Any]) -> None:
    """Everything that happened in the period in the address, by default the last 7 days."""
    head = lists.row()
    with head:
        st.header("What happened", width="content")
    since, until = lists.period("happened")
    now = viewer.clock() // 60 * 60
    first = now - HISTORY_DAYS * 86400.0 if since is None else since
    last = now + 86400.0 if until is None else until
    key = known["tenant"], known["instance_id"], known["host"] or "", first, last
    listed = paging.from_frame("instance-history", cached.ask(instances.history, *key, file_formats.MAX_ROWS))
    end = "now" if until is None else viewer.moment(last, "%Y-%m-%d %H:%M")
    count = counted(listed.total, "entry", "entries")
    listed.head(f"{count} from {viewer.moment(first, '%Y-%m-%d %H:%M')} to {end}", head)
    if not listed.total:
        st.text("Nothing is recorded for this period.")
        return
    shown = (
        markup.moment("time", "at"),
        markup.text("kind", "kind", "short fo-rest"),
        markup.Column("what", what_happened, "host"),
        markup.status("status", "status"),
        markup.text("detail", "detail", "rest"),
    )
    markup.draw(markup.table(shown, listed.rows, "What happened, newest first"))
    listed.pager()


def what_happened(row: dict[str, Any]) -> Markup | str:
    what = row["what"].rsplit("/", 1)[-1] if row["kind"] == "playbook" else row["what"]
    return markup.operation(what, row["operation"]) if row["operation"] else what


def health(known: dict[str, Any]) -> None:
    st.header("Health")
    if not known["health_at"] and not known["health"]:
        how = "This command reads the health that the server has stored:"
        to_read("Its health has never been read.", how, known, "--health")
        return
    span = lists.choice("Time", SPANS, "span", "7 days")
    # Rounded to minutes, so that the cached figure can be used.
    now = viewer.clock() // 60 * 60
    since = now - SPANS[span] * 86400
    checks = cached.ask(instances.health_checks, known["tenant"], known["instance_id"], since - instance.MAX_HOLD)
    alt = "Health of the instance over time"
    plot.chart(alt, "health", instance.health_over_time, checks, (since, now), viewer.theme(), viewer.zone())
    shown = int((checks["checked_at"] >= since).sum())
    st.caption(
        f"{counted(shown, 'check')} in this period. Each result is shown until the next check, "
        f"for at most {times.duration(instance.usual_hold(checks['checked_at'].tolist()))}. "
        "There was no check in the hatched areas."
    )
    lists.line(f"checked {viewer.moment(known['checked_at'])}" if known["checked_at"] else "", as_of(known, "health"))
    if known["trouble"]:
        lists.code(known["trouble"])


def deploys(known: dict[str, Any]) -> None:
    key = known["tenant"], known["instance_id"]
    now = cached.ask(freshness.freshness).as_of(viewer.clock(), known["tenant"])
    page = paging.from_query("instance-rollouts", instances.instance_targets, *key, now)
    found = page.rows
    page.header("Rollouts")
    if not page.total:
        st.text("No rollout targets of this instance are stored.")
        return
    usual = cached.ask(durations.usual_of_instance, *key)
    fleet = usual["fleet_p95"]
    p50, p95, whose = usual["p50"], usual["p95"], "its"
    if p95 is not None:
        took = f"{times.duration(p50)} (p50) and {times.duration(p95)} (p95)"
        sentence = f"Its {usual['n']:,} newest successful deploys took {took}"
    else:
        sentence = f"Too few successful deploys for its own p50 and p95 ({usual['n']} of {durations.MIN_DEPLOYS})"
        p95, whose = fleet, "the fleet's"
    st.caption(sentence + (f"; the fleet's p95 is {times.duration(fleet)}." if fleet else "."))
    if (found["took_s"].notna() & found["started_at"].notna()).sum() >= 2:
        alt = "Duration of its deploys over time"
        plot.chart(alt, "times", instance.deploy_times, found, (p50, p95), viewer.theme(), viewer.zone())
    shown = (
        markup.linked("rollout", lists.rollout_title, pages.ROLLOUT, "rollout_id"),
        markup.status("status", "status"),
        markup.moment("started", "began_at"),
        markup.duration("took", "took_s", "number"),
        markup.Column(f"vs. {whose} usual time", lambda row: compared(row["took_s"], p50, p95)),
        markup.text("error", "error"),
        markup.text("bundle", "bundle_hash", "rest"),
    )
    began = found.assign(began_at=found["started_at"].fillna(found["created_at"]))
    markup.draw(markup.table(shown, began, "Rollout targets of the instance, newest first"))
    page.pager()


def compared(took: float, p50: float | None, p95: float | None) -> str:
    if math.isnan(took) or p95 is None:
        return ""
    if took > p95:
        return f"p95 + {times.duration(took - p95)}"
    if p50 is None:
        return "within p95"
    return "p50 to p95" if took > p50 else "within p50"


def actions(known: dict[str, Any]) -> None:
    key = known["tenant"], known["instance_id"]
    if not known["actions_at"]:
        st.header("Actions")
        to_read("Its actions have never been read.", "This command reads them:", known, "--actions")
        return
    found = paging.from_query("instance-actions", instances.instance_actions, *key)
    found.header("Actions")
    lists.line(counted(found.total, "action"), as_of(known, "actions"))
    if known["gap_from"]:
        st.badge("actions are missing", icon=":material/help:", color="orange")
        st.text(
            f"Between {viewer.moment(known['gap_from'])} and {viewer.moment(known['gap_to'])} there were more "
            "actions than the 100 that the API lists. Sync the actions more often."
        )
    if found.total:
        rows = found.rows
        at = [
            written or raw or ""
            for written, raw in zip(columns.time_texts(rows["created_at"]), rows["created_raw"], strict=True)
        ]
        shown = [
            columns.text(at, columns.with_zone("requested"), 160),
            columns.text(rows["action"], "action", 190),
            columns.statuses(rows["status"], width=130),
            columns.durations(rows["took_s"], "took"),
            columns.text(rows["message"], "message", 420),
            *([columns.text(rows["actor"], "by", 140)] if rows["actor"].notna().any() else []),
            columns.text(rows["action_id"], "id", 280),
        ]
        columns.show("Actions of the instance, newest first", shown, "actions")
        found.pager()


def audit(known: dict[str, Any]) -> None:
    st.header("Audit")
    key = known["tenant"], known["instance_id"]
    span = audit_queries.AuditSpan(instance_id=known["instance_id"], tenant=known["tenant"])
    counts = cached.ask(audit_queries.audit_over_time, "source", span)
    if not len(counts):
        if known["audit_at"]:
            lists.line("no audit events", as_of(known, "audit"))
        else:
            never = "Its audit events have never been read."
            to_read(never, "Every sync reads them, except with --no-audit:", known, "")
        return
    by_outcome = counts.groupby("outcome")["events"].sum().to_dict()
    other = sum(n for outcome, n in by_outcome.items() if outcome not in OUTCOMES)
    numbers = {outcome.capitalize(): by_outcome.get(outcome, 0) for outcome in OUTCOMES}
    markup.draw(markup.strip({**numbers, **({"Other": other} if other else {})}))
    with lists.row():
        lists.line("ingested events, all time", as_of(known, "audit"))
        links.to(pages.AUDIT, "Open in the audit summary", instance=known["instance_id"])
    found, total = cached.ask(instances.non_success_events, *key)
    if total:
        listed = Listed("instance-audit", total, lambda path, n: instances.non_success_events(path, *key, n)[0])
        listed.head(f"The newest {len(found):,} that did not succeed")
        tables.audit_events(found)
    else:
        st.text("All ingested events succeeded.")


def versions(known: dict[str, Any]) -> None:
    st.header("Versions")
    if not known["updates_at"]:
        to_read("Its versions have never been read.", "This command reads them:", known, "--updates")
        return
    lists.line(as_of(known, "updates"))
    rows = entries(known["components_json"])
    if rows:
        components(rows)
    else:
        st.text("The server lists no components for this instance.")
    key = known["tenant"], known["instance_id"]
    seen = cached.ask(instances.instance_versions, *key)
    if len(seen) > 1:
        paging.from_frame("instance-versions", seen).head("Versions seen over time")
        contents = [parsed(text) for text in seen["versions_json"]]
        changed = [difference(old, new) for old, new in zip([*contents[1:], None], contents, strict=True)]
        shown = [
            columns.moments(seen["taken_at"], "first seen"),
            columns.text(seen["runtime"], "runtime", 130),
            columns.text(changed, "change", 520),
        ]
        columns.show("Versions seen, newest first", shown, "versions")


def components(rows: list[dict[str, Any]]) -> None:
    """The versions of the components, those with an update first."""
    frame = pd.DataFrame(rows, columns=["name", "current", "available", "outdated"]).astype(object)
    words = ["outdated" if value is True else "current" if value is False else "unknown" for value in frame["outdated"]]
    frame = frame.assign(word=words, later=[word != "outdated" for word in words])
    frame = frame.sort_values(["later", "name"], kind="stable")
    shown = [
        columns.text(frame["name"], "component", 260),
        columns.statuses(frame["word"], "version", 130),
        columns.text(frame["current"], "running", 150),
        columns.text(frame["available"], "available", 150),
    ]
    columns.show("Components and their versions", shown, "components")


def difference(old: dict[str, Any] | None, new: dict[str, Any]) -> str:
    """What changed from the previous versions to these."""
    if old is None:
        return "first read"
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {old.get(name) or '?'} → {new.get(name) or 'removed'}" for name in changed)


auto_refresh.refreshing(body, lambda: cached.something_open() and not buttons.is_confirming(ID))
buttons.confirmation(ID)
