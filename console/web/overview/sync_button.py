# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that starts a sync: the choice of what to read, the progress, and the result."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console.collect.api.instances import KINDS
from console.collect.api.session import ApiOptions
from console.collect.sync import SyncReport, sync_once
from console.record.opening import DatabaseProblem
from console.settings.environment import SettingsError, load_settings
from console.web import sign_in
from console.web.shared import cached, lists, messages

_RESULT = "sync_result"
_DETAILS = "sync_details"


@dataclass(frozen=True)
class _Result:
    """The result of a sync. error: why it could not run at all. without_api: why the API was not read."""

    report: SyncReport | None
    error: str = ""
    without_api: str = ""


# Shared by all sessions, because a second sync at the same time would only read the same data again.
_LOCK = threading.Lock()


def _why_not() -> str:
    """Why the visitor may not sync: a sync calls the API with the operators' key. '' without a login."""
    return "" if sign_in.acting().login is None else sign_in.visitor().why_not


def button() -> bool:
    """Draw the button; returns whether it was pressed. It is disabled if there is no source, and absent on a copy.

    If a login is set up, only operators can use it.
    """
    if cached.is_copy():
        return False
    connection, why = sign_in.connection()
    refused = ""
    if why_not := _why_not():
        # It contains text from the login provider, which must not end the code span.
        refused, why = "Only operators can sync", why_not.replace("`", "'")
    elif connection is None and not _may_have_run_logs(load_settings().run_log_dir):
        refused = "Nothing to sync from"
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if refused:
            st.caption(refused, width="content", help=f"`{why}`")
            st.button("Sync now", icon=":material/sync:", disabled=True)
            return False
        if connection:
            _choice_of_details()
        what = ", ".join(["run logs", "the API", *_details()] if connection else ["run logs only"])
        return st.button("Sync now", icon=":material/sync:", type="secondary", help=f"Reads into the database: {what}.")


def _may_have_run_logs(folder: Path) -> bool:
    """Whether there may be a folder of run logs. If it cannot be read, the sync reports why."""
    try:
        return folder.is_dir()
    except OSError:
        return True


def _details() -> tuple[str, ...]:
    """The chosen entries of KINDS, in their order."""
    return tuple(kind for kind in KINDS if kind in (st.session_state.get(_DETAILS) or ()))


def _choice_of_details() -> None:
    """The choice of what a sync also reads for each instance; nothing by default."""
    with st.popover("What to read", type="tertiary"):
        st.text("Always read: run logs, rollouts, the policy, new audit events.")
        st.pills("Also for each instance", KINDS, selection_mode="multi", format_func=str.capitalize, key=_DETAILS)
        st.caption(
            "Each costs one API call per instance. Health is what the server has stored; no new check is made. "
            "For memories, only their number is stored."
        )


def show() -> DeltaGenerator:
    """Show what the last sync loaded and what failed; returns the container for the progress of the next sync."""
    container = st.empty()
    result: _Result | None = st.session_state.get(_RESULT)
    if result is None:
        return container
    with container.container(border=True):
        if result.report is None:
            st.badge("sync failed", icon=":material/error:", color="red")
            lists.line(result.error)
        else:
            problems = result.report.problems
            if problems:
                st.badge("partly synced", icon=":material/warning:", color="orange")
            else:
                st.badge("synced", icon=":material/check_circle:", color="green")
            st.text(result.report.summary)
            for sentence in [*problems, *result.report.notes]:
                lists.line(sentence)
        if result.without_api:
            st.text(f"The API was not read. {result.without_api}")
        if st.button("Dismiss", type="tertiary"):
            del st.session_state[_RESULT]
            st.rerun()
    return container


def sync(container: DeltaGenerator) -> None:
    """Sync with a progress bar in ``container``, then rerun the page. Called last, so that the page stays visible."""
    st.session_state[_RESULT] = _sync(container)
    st.rerun()


def what_to_set() -> None:
    """Show which settings for the API are missing, if any."""
    connection, why = sign_in.connection()
    if connection is None and not cached.is_copy():
        with st.expander("No API is configured: only run logs can be synced", icon=":material/key:"):
            st.text(why)
            st.text("Set these before you start the console. The key is kept only in its environment.")
            lists.code(
                "export FLEETOPS_API_URL=https://ops.example.com\n"
                f"read -rs FLEETOPS_API_KEY && export FLEETOPS_API_KEY\n{messages.command('serve')}"
            )


def _sync(container: DeltaGenerator) -> _Result:
    # Checked again, because a browser can press a disabled button.
    if why_not := _why_not():
        return _Result(None, why_not)
    connection, why = sign_in.connection()
    settings = load_settings()
    if not _LOCK.acquire(blocking=False):
        return _Result(None, "Another sync is already running. Its data appears here as soon as it is stored.")
    progress_bar = container.progress(0.0, text="Starting")
    try:

        def progress(done: int, total: int | None, what: str) -> None:
            share = min(1.0, done / total) if total else 0.0
            progress_bar.progress(
                share, text=f"{what}: {done:,} of {total:,}" if total is not None else f"{what}: {done:,}"
            )

        wanted = ApiOptions(details=_details())
        report = sync_once(settings, connection=connection, api_options=wanted, progress=progress)
        return _Result(report, without_api=why)
    except (DatabaseProblem, SettingsError) as error:
        return _Result(None, str(error))
    finally:
        progress_bar.empty()
        _LOCK.release()
