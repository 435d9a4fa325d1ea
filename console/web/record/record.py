# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record health: how current each source is, what is missing, which run logs are not loaded, notifications, the size of
the database, backup and retention, with the commands for them."""

from __future__ import annotations

import shlex
import time
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.monitoring.backlog import Backlog, backlog
from console.notifications.facts import OPERATIONS
from console.record.read import frames, freshness, ledgers, record_health
from console.record.retention import Retention
from console.record.rows import FAILED, GAVE_UP, SENDING
from console.settings.environment import load_settings
from console.settings.invocation import COMMAND
from console.text import times
from console.text.counts import counted
from console.text.listing import records
from console.web.shared import cached, columns, lists, markup, messages, paging, viewer

# How many errors are shown in full above the table, which truncates long ones.
FULL_ERRORS = 3
NOTIFICATIONS_SHOWN = 10

SOURCES = {
    "api": "API: rollouts and policy",
    "rollout": "API: incompletely read rollouts",
    "spool": "run logs",
    "runner": "ansible-runner artifacts",
    "awx": "AWX job events",
    "audit": "audit events",
    "health": "health of instances",
    "updates": "versions of instances",
    "actions": "actions of instances",
    "memory": "memory counts of instances",
}


def body() -> None:
    with messages.database():
        path = load_settings().database
        messages.head("Record health")
        now = viewer.clock()
        fresh = cached.ask(freshness.freshness)
        waiting = backlog(load_settings().run_log_dir, cached.ask(record_health.run_log_positions))
        kept = cached.ask(record_health.last_maintenance)
        found = cached.ask(record_health.sources)
        size = times.size(sum(frames.database_version(path)[1::2]))
        unread = times.size(waiting.unread) if waiting.files else "none"
        figures: dict[str, str | int] = {
            "Database": size,
            **({} if kept.copied_at is not None else {"Run logs waiting": unread}),
            "Sources with errors": int(found["errors"].sum()),
            "Gaps": int(found["gaps"].sum()),
            "Last backup": "never" if kept.backup_at is None else f"{times.rounded(now - kept.backup_at)} ago",
        }
        markup.draw(markup.strip(figures))
        if fresh.never:
            messages.empty("Nothing has been synced yet", "Load run logs and the API's rollouts:")
        else:
            sources(found)
            tenants(fresh)
            troubles()
        if kept.copied_at is None:
            run_logs(waiting)
        notifications_sent()
        sizes()
        if kept.copied_at is None:
            backup(kept)
        else:
            copy(kept)
        retention(kept)
        st.header("Monitoring")
        st.text("Run this from cron or a timer. It prints one line for each check, and the exit code is 0, 1 or 2.")
        lists.code(messages.command("check"))


def sources(found: pd.DataFrame) -> None:
    paging.from_frame("sources", found).header("Data as of")
    shown = [
        columns.text([SOURCES.get(source, source) for source in found["source"]], "source", 260),
        columns.moments(found["read_at"], "last read", 170),
        columns.moments(found["oldest_at"], "oldest part", 170),
        columns.count(found["scopes"], "parts", 110),
        columns.count(found["errors"], "errors", 110),
        columns.count(found["gaps"], "gaps", 110),
        columns.count(found["bad_lines"], "lines skipped", 110),
    ]
    columns.show("Sources of the record", shown)


def tenants(fresh: freshness.Freshness) -> None:
    """The table of tenants, if there are several or one is retired."""
    if len(fresh.tenants) < 2 and not fresh.retired:
        return
    st.header("Tenants")
    stale = fresh.stale(viewer.clock())
    states = [
        f"retired {times.moment(tenant.retired_at, '%Y-%m-%d')}" if tenant.retired_at is not None
        else "stale" if tenant in stale else "never read" if tenant.at is None else "current"
        for tenant in fresh.tenants
    ]  # fmt: skip
    shown = [
        columns.text([tenant.tenant for tenant in fresh.tenants], "address of the API", 380),
        columns.moments([tenant.at for tenant in fresh.tenants], "last read", 170),
        columns.text(states, "state", 160),
    ]
    columns.show("Tenants of the record", shown)
    if stale and not cached.is_copy():
        st.text("Retire a tenant that is no longer read. Its data is kept, and it no longer counts as stale.")
        lists.code(messages.command(f"retire {shlex.quote(stale[0].tenant)}"))


def troubles() -> None:
    missing = paging.from_query("missing", record_health.source_troubles)
    found = missing.rows
    st.header("Missing")
    if not missing.total:
        with lists.row():
            st.badge("nothing missing", icon=":material/check_circle:", color="green")
            st.text("The last sync read everything that it requested, and no events between syncs are missing.")
        return
    with lists.row():
        st.badge("incomplete", icon=":material/warning:", color="orange")
        st.text(f"{counted(missing.total, 'part')} of the sources with an error, a gap or skipped lines")
        missing.share()
    for row in records(found[found["last_error"].fillna("") != ""])[:FULL_ERRORS]:
        lists.code(row["last_error"])
    parts = [
        host or scope.rpartition("|")[2] or "all" for host, scope in zip(found["host"], found["scope"], strict=True)
    ]
    shown = [
        columns.text([SOURCES.get(source, source) for source in found["source"]], "source", 180),
        columns.text(parts, "part", 240),
        columns.text(found["last_error"], "last error", 420),
        columns.periods(found["gap_from"], found["gap_to"], "no events between"),
        columns.count(found["bad_lines"], "lines skipped", 100),
        columns.moments(found["last_ok_at"], "last read successfully", 170),
    ]
    columns.show("What could not be read", shown)
    missing.pager()
    if not cached.is_copy():
        st.text("The next sync tries again. The second command also closes gaps in the audit events, by reading more:")
        lists.code(f"{messages.command('sync')}\n{messages.command('sync --audit-events 5000')}")


def run_logs(waiting: Backlog) -> None:
    st.header("Run logs")
    if waiting.problem:
        st.text(f"{waiting.problem} It is not needed for reviewing a copied database.")
    elif not waiting.files:
        st.text(f"All run logs in {load_settings().run_log_dir} are loaded.")
    else:
        files = counted(waiting.files, "run log")
        since = f", the oldest written {viewer.ago(waiting.oldest_at)}" if waiting.oldest_at is not None else ""
        folder, unread = load_settings().run_log_dir, times.size(waiting.unread)
        st.text(f"Not loaded yet: {unread} in {files} in {folder}{since}.")
        lists.code(messages.command("sync --no-api"))


def notifications_sent() -> None:
    """The newest notifications. They are recorded with the name of their destination, never with its address."""
    sent = paging.from_query("notifications", ledgers.notifications, size=NOTIFICATIONS_SHOWN)
    found, total = sent.rows, sent.total
    sent.header("Notifications", f"the newest {len(found):,} of {total:,}" if total > len(found) else f"{total:,}")
    if not total:
        st.text("No notification has been sent. Without a rules file (FLEETOPS_NOTIFY_RULES), none are sent.")
        if not cached.is_copy():
            lists.code(messages.command("notify --rules FILE --dry-run"))
        return
    found = found.assign(
        # Each has begun, or was given up.
        when=found["ended_at"].fillna(found["begun_at"]),
        error=found["error"].where(found["outcome"].isin((FAILED, GAVE_UP)), None),
        # It is unknown whether the message of an attempt without an end has arrived.
        outcome=found["outcome"].replace(SENDING, "no outcome"),
    )
    shown = (
        markup.Column("when", lambda row: viewer.when(row["when"]), "time"),
        markup.Column("what", notification_title),
        markup.Column("to", lambda row: row["destination"]),
        markup.Column("outcome", lambda row: markup.badge(row["outcome"])),
        markup.Column("attempts", notification_attempts, "rest"),
        markup.Column("last error", lambda row: row["error"] or "", "rest"),
    )
    markup.draw(markup.table(shown, found, "Notifications, newest first"))


def notification_title(row: dict[str, Any]) -> Markup | str:
    title: str = row["title"]
    return markup.operation(title, row["key"]) if row["subject"] == OPERATIONS else title


def notification_attempts(row: dict[str, Any]) -> str:
    attempts, interrupted = row["attempts"], row["interrupted"]
    repeated = f"repeated, {attempts:,}" if attempts > 1 else f"{attempts:,}"
    return repeated + (f", {interrupted:,} interrupted" if interrupted else "")


def sizes() -> None:
    found = cached.ask(record_health.table_sizes)
    found = found[found["rows"] > 0]
    if not len(found):
        return
    st.header("Size by table")
    most = float(found["bytes"].max())
    weight = st.column_config.ProgressColumn(
        "size with indexes", format="bytes", min_value=0.0, max_value=most if most > 0 else 1.0, width=260
    )
    shown = [
        columns.text(found["table"], "table", 220),
        columns.count(found["rows"], "rows", 130),
        columns.Column("bytes", found["bytes"], weight),
    ]
    columns.show("Tables of the database, largest first", shown)


def backup(kept: record_health.LastMaintenance) -> None:
    st.header("Backup")
    if kept.backup_at is None:
        st.text("This database has never been backed up.")
    else:
        size = kept.backup.get("bytes")
        lists.line(
            f"{viewer.moment(kept.backup_at)} ({viewer.ago(kept.backup_at)})",
            times.size(size) if isinstance(size, int | float) else "",
            str(kept.backup.get("file") or ""),
        )
    st.text("A backup is a single file. Any console of this version can show it, without the API.")
    name = time.strftime("fleetops-%Y-%m-%d.db", time.gmtime(viewer.clock()))
    lists.code(f"{messages.command(f'backup {name}')}\n{COMMAND} serve --db {name}")


def copy(kept: record_health.LastMaintenance) -> None:
    st.header("Copy for review")
    lists.line(
        f"made {viewer.moment(kept.copied_at)} ({viewer.ago(kept.copied_at or 0)})",
        f"of {kept.copy['file']}" if kept.copy.get("file") else "",
    )
    st.text("A copy is never synced. This command turns it into a database that can be synced:")
    lists.code(messages.command("migrate --adopt"))


def retention(kept: record_health.LastMaintenance) -> None:
    st.header("Retention")
    usual = Retention()
    st.text(
        f"Retention in days: task results {usual.results} (of runs with failures {usual.failed_results}), raw audit"
        f" events {usual.audit}, health checks {usual.health}, actions {usual.actions}, earlier versions"
        f" {usual.versions}."
        " Runs, rollouts, targets, daily counts and the newest entry of each instance are always kept."
    )
    if kept.prune_at is not None:
        gone = sum(int(n) for n in kept.prune.values() if isinstance(n, int))
        when = f"Last pruned {viewer.moment(kept.prune_at)} ({viewer.ago(kept.prune_at)})"
        lists.line(when, f"{counted(gone, 'row')} removed")
    # Rounded to the hour, so that the result can be cached.
    found = cached.ask(record_health.prunable, usual, viewer.clock() // 3600 * 3600)
    shown = [
        columns.text(found["what"], "would be removed", 260),
        columns.moments(found["before_at"], "older than", 170),
        columns.count(found["rows"], "rows", 110),
    ]
    columns.show("Rows that prune would remove", shown)
    lists.code(f"{messages.command('prune --dry-run')}\n{messages.command('prune --yes')}")


body()
