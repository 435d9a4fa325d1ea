# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record health: how fresh each source is, what is missing, what waits to be loaded, how big the database is, and what
keeps it: backup and retention, each with its command."""

from __future__ import annotations

import shlex
import time

import pandas as pd
import streamlit as st

from console import charts, columns, queries, share, ui
from console.backlog import Backlog, backlog
from console.invocation import COMMAND
from console.limits import shown
from console.retention import Retention

# Shown whole above the table, which cuts long ones.
WHOLE_ERRORS = 3

SOURCES = {
    "api": "API: rollouts and policy",
    "rollout": "API: rollouts not read whole",
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
    with ui.database():
        path = ui.settings().database
        fresh = ui.freshness()
        waiting = backlog(ui.settings().spool_dir, ui.ask(queries.spool_positions))
        kept = ui.ask(queries.upkeep)
        found = ui.ask(queries.sources)
        size = sum(queries.stamp(path)[1::2])
        ui.metrics(
            [
                ("Database", shown(size, "bytes")),
                *([] if kept.copied_at is not None else [("Run logs waiting", unread(waiting))]),
                ("Sources with errors", f"{int(found['errors'].sum()):,}"),
                ("Gaps", f"{int(found['gaps'].sum()):,}"),
                ("Last backup", since(kept.backup_at)),
            ]
        )
        if fresh.never:
            ui.empty("Nothing was ever synced", "Load run logs and the API's rollouts with:", [command("sync")])
        else:
            sources(found)
            tenants(fresh)
            troubles()
        if kept.copied_at is None:
            spools(waiting)
        sizes()
        if kept.copied_at is None:
            backup(kept)
        else:
            copy(kept)
        retention(kept)
        st.subheader("Monitoring")
        st.text("One line a figure; exit code 0, 1 or 2. From cron or a timer:")
        st.code(command("check"), language="bash")


def unread(waiting: Backlog) -> str:
    """How much of the run logs no sync has read."""
    return shown(waiting.unread, "bytes") if waiting.files else "none"


def since(at: float | None) -> str:
    """How long ago, short enough for a box of figures."""
    return "never" if at is None else f"{shown(max(0.0, ui.clock() - at), 'seconds')} ago"


def command(words: str) -> str:
    """A command of the console for the database that is shown."""
    verb, _space, rest = words.partition(" ")
    return f"{COMMAND} {verb} --db {shlex.quote(str(ui.settings().database.absolute()))} {rest}".rstrip()


def sources(found: pd.DataFrame) -> None:
    with ui.row():
        st.subheader("Data as of", width="content")
        share.share("sources", len(found), lambda path, most: queries.sources(path).head(most))
    frame = found.assign(
        name=[SOURCES.get(source, source) for source in found["source"]],
        read=columns.moments(found["read_at"]),
        oldest=columns.moments(found["oldest_at"]),
    )
    listed = {
        "name": columns.text("source", 260),
        "read": columns.utc("last read", 170),
        "oldest": columns.utc("oldest part", 170),
        **{
            name: columns.count(title, 110)
            for name, title in (
                ("scopes", "parts"),
                ("errors", "errors"),
                ("gaps", "gaps"),
                ("bad_lines", "lines skipped"),
            )
        },
    }
    columns.show(frame, listed, "Sources of the record")


def tenants(fresh: queries.Freshness) -> None:
    """The tenants one by one, where there are several or one is retired."""
    if len(fresh.looks) < 2 and not fresh.retired:
        return
    st.subheader("Tenants")
    stale = fresh.stale(ui.clock())
    frame = pd.DataFrame(
        {
            "tenant": [look.tenant for look in fresh.looks],
            "read": columns.moments(pd.Series([look.at for look in fresh.looks], dtype=float)),
            "state": [
                f"retired {charts.moment(look.retired_at, '%Y-%m-%d')}" if look.retired_at is not None
                else "stale" if look in stale else "never read" if look.at is None else "followed"
                for look in fresh.looks
            ],
        }
    )  # fmt: skip
    listed = {
        "tenant": columns.text("address of the API", 380),
        "read": columns.utc("last read", 170),
        "state": columns.text("state", 160),
    }
    columns.show(frame, listed, "Tenants of the record")
    if stale and not ui.is_copy():
        st.text("Of one that is read no more the data stays, and nothing waits for a sync of it, after:")
        st.code(command(f"retire {shlex.quote(stale[0].tenant)}"), language="bash")


def troubles() -> None:
    found, total = ui.paged("troubles", lambda n: ui.ask(queries.source_troubles, n), queries.LIST_PAGE)
    st.subheader("Missing")
    if not total:
        with ui.row():
            st.badge("nothing missing", icon=":material/check_circle:", color="green")
            st.text("The last sync read all it asked for, and no events lie between two syncs unread.")
        return
    with ui.row():
        st.badge("incomplete", icon=":material/warning:", color="orange")
        st.text(f"{total:,} part{'s' if total != 1 else ''} of a source with an error, a gap or skipped lines")
        share.share("missing", total, lambda path, most: queries.source_troubles(path, 1, most)[0])
    for row in ui.records(found[found["last_error"].fillna("") != ""])[:WHOLE_ERRORS]:
        st.code(row["last_error"], language=None, wrap_lines=True)
    frame = found.assign(
        name=[SOURCES.get(source, source) for source in found["source"]],
        part=[
            host or scope.rpartition("|")[2] or "all" for host, scope in zip(found["host"], found["scope"], strict=True)
        ],
        gap=[
            f"{charts.moment(a)} to {charts.moment(b)}" if known else ""
            for a, b, known in zip(found["gap_from"], found["gap_to"], found["gap_from"].notna(), strict=True)
        ],
        read=columns.moments(found["last_ok_at"]),
    )
    listed = {
        "name": columns.text("source", 180),
        "part": columns.text("part", 240),
        "last_error": columns.text("last error", 420),
        "gap": columns.utc("no events between", 300),
        "bad_lines": columns.count("lines skipped", 100),
        "read": columns.utc("last read well", 170),
    }
    columns.show(frame, listed, "What could not be read")
    ui.pager("troubles", total, queries.LIST_PAGE)
    if not ui.is_copy():
        st.text("A sync tries again. A gap in the audit closes by reading further back:")
        st.code(f"{command('sync')}\n{command('sync --audit-events 5000')}", language="bash")


def spools(waiting: Backlog) -> None:
    st.subheader("Run logs")
    if waiting.problem:
        st.text(f"{waiting.problem} A copied database can be reviewed without it.")
    elif not waiting.files:
        st.text(f"All of {ui.settings().spool_dir} is loaded.")
    else:
        files = f"{waiting.files:,} run logs" if waiting.files != 1 else "1 run log"
        since = f", the oldest written {ui.ago(waiting.oldest_at)}" if waiting.oldest_at is not None else ""
        folder, unread = ui.settings().spool_dir, shown(waiting.unread, "bytes")
        st.text(f"{unread} of {files} in {folder} were read by no sync yet{since}.")
        st.code(command("sync --no-api"), language="bash")


def sizes() -> None:
    found = ui.ask(queries.table_sizes)
    found = found[found["rows"] > 0]
    if not len(found):
        return
    st.subheader("Size by table")
    most = float(found["bytes"].max())
    listed = {
        "table": columns.text("table", 220),
        "rows": columns.count("rows", 130),
        "bytes": st.column_config.ProgressColumn(
            "with indexes", format="bytes", min_value=0.0, max_value=most if most > 0 else 1.0, width=260
        ),
    }
    columns.show(found, listed, "Tables of the database, biggest first")


def backup(kept: queries.Upkeep) -> None:
    st.subheader("Backup")
    if kept.backup_at is None:
        st.text("This database was never backed up.")
    else:
        size = kept.backup.get("bytes")
        ui.line(
            f"{charts.moment(kept.backup_at)} UTC ({ui.ago(kept.backup_at)})",
            shown(float(size), "bytes") if isinstance(size, int | float) else "",
            str(kept.backup.get("file") or ""),
        )
    st.text("A copy is one file; any console of this version shows it, without the API.")
    name = time.strftime("fleetops-%Y-%m-%d.db", time.gmtime(ui.clock()))
    st.code(f"{command(f'backup {name}')}\n{COMMAND} serve --db {name}", language="bash")


def copy(kept: queries.Upkeep) -> None:
    st.subheader("A copy for review")
    ui.line(
        f"made {charts.moment(kept.copied_at)} UTC ({ui.ago(kept.copied_at or 0)})",
        f"of {kept.copy['file']}" if kept.copy.get("file") else "",
        moments=[kept.copied_at],
    )
    st.text("Nothing is synced into it. To go on with it as a database of its own:")
    st.code(command("migrate --adopt"), language="bash")


def retention(kept: queries.Upkeep) -> None:
    st.subheader("Retention")
    usual = Retention()
    st.text(
        f"Kept: task results {usual.results} days ({usual.failed_results} of runs in which something failed), raw audit"
        f" events {usual.audit}, health checks {usual.health}, actions {usual.actions}, former versions"
        f" {usual.versions}. Runs, rollouts, targets and daily counts stay, and the newest of each instance."
    )
    if kept.prune_at is not None:
        gone = sum(int(n) for n in kept.prune.values() if isinstance(n, int))
        ui.line(f"Last pruned {charts.moment(kept.prune_at)} UTC ({ui.ago(kept.prune_at)})", f"{gone:,} rows")
    # By the hour, so that the answer can be kept.
    found = ui.ask(queries.prunable, usual, ui.clock() // 3600 * 3600)
    found = found.assign(before=columns.moments(found["before_at"]))
    listed = {
        "what": columns.text("what would go now", 260),
        "before": columns.utc("older than", 170),
        "rows": columns.count("rows", 110),
    }
    columns.show(found, listed, "What a pruning would remove")
    st.code(f"{command('prune --dry-run')}\n{command('prune --yes')}", language="bash")


st.title("Record health")
body()
