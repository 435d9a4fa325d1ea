# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The button that syncs: what it can read and what of it is wanted, its progress, and what came of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console.collect.api.instances import KINDS
from console.collect.api.options import ApiOptions
from console.collect.once import SyncReport, sync_once
from console.record.write.store import StoreError
from console.settings.environment import ApiConnection, SettingsError, load_api, load_settings
from console.settings.invocation import COMMAND
from console.web import sign_in
from console.web.shared import cached

_RESULT = "sync_result"
_DETAILS = "sync_details"


@dataclass(frozen=True)
class _Result:
    """What the page says after a sync; ``error`` when it could not run at all."""

    report: SyncReport | None
    error: str = ""
    without_api: str = ""


@st.cache_resource
def _one_at_a_time() -> threading.Lock:
    """Shared by all visitors: a second sync at once would only read the same again."""
    return threading.Lock()


def _api() -> tuple[ApiConnection | None, str]:
    try:
        return load_api(), ""
    except SettingsError as error:
        return None, str(error)


def _why_not() -> str:
    """Why the visitor may not sync: a sync calls the API with the operators' key. '' without a login."""
    return "" if sign_in.acting().login is None else sign_in.visitor().why_not


def button() -> bool:
    """Draw the button; returns whether it was pressed. Off when there is nothing to read from, none on a copy.

    With a login it is the operators' alone.
    """
    if cached.is_copy():
        return False
    if why_not := _why_not():
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.caption("Operators sync", width="content", help=f"`{_plain(why_not)}`")
            st.button("Sync now", icon=":material/sync:", disabled=True)
        return False
    connection, why = _api()
    settings = load_settings()
    spools = settings.spool_dir.is_dir()
    if connection is None and not spools:
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.caption("Nothing to sync from", width="content", help=f"`{why}`")
            st.button("Sync now", icon=":material/sync:", disabled=True)
        return False
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if connection:
            _choice_of_details()
        what = ", ".join(["run logs", "the API", *_details()] if connection else ["run logs only"])
        return st.button("Sync now", icon=":material/sync:", type="primary", help=f"Reads into the database: {what}.")


def _plain(sentence: str) -> str:
    # It names an address of the login provider's, which must not end the span that keeps it text.
    return sentence.replace("`", "'")


def _details() -> tuple[str, ...]:
    """The chosen words of KINDS, in their order."""
    return tuple(kind for kind in KINDS if kind in (st.session_state.get(_DETAILS) or ()))


def _choice_of_details() -> None:
    """What a sync reads of each instance beside rollouts and audit; nothing until it is chosen."""
    with st.popover("What to read", type="tertiary"):
        st.text("Always: run logs, rollouts, the policy, new audit events.")
        st.pills("Of each instance too", KINDS, selection_mode="multi", format_func=str.capitalize, key=_DETAILS)
        st.caption(
            "One call an instance each. Health is what the server has stored: nothing is measured. "
            "Of memories only the number is kept."
        )


def show() -> DeltaGenerator:
    """Say what the last sync loaded and what failed; returns its place, which the next one's bar takes."""
    place = st.empty()
    result: _Result | None = st.session_state.get(_RESULT)
    if result is None:
        return place
    with place.container(border=True):
        if result.report is None:
            st.badge("sync failed", icon=":material/error:", color="red")
            st.text(result.error)
        else:
            problems = result.report.problems
            if problems:
                st.badge("synced in part", icon=":material/warning:", color="orange")
            else:
                st.badge("synced", icon=":material/check_circle:", color="green")
            st.text(result.report.summary)
            for sentence in [*problems, *result.report.notes]:
                st.text(sentence)
        if result.without_api:
            st.text(f"The API was left out. {result.without_api}")
        if st.button("Dismiss", type="tertiary"):
            del st.session_state[_RESULT]
            st.rerun()
    return place


def sync(place: DeltaGenerator) -> None:
    """Sync with a bar in ``place``, then draw the page anew. Called last, so that the page stays while it goes on."""
    st.session_state[_RESULT] = _sync(place)
    st.rerun()


def what_to_set() -> None:
    """Which settings the button lacks, if any."""
    connection, why = _api()
    if connection is None and not cached.is_copy():
        with st.expander("The API is not set up: only run logs can be synced", icon=":material/key:"):
            st.text(why)
            st.text("Start the console with these set; the key stays in its environment:")
            st.code(
                "export FLEETOPS_API_URL=https://ops.example.com\n"
                "read -rs FLEETOPS_API_KEY && export FLEETOPS_API_KEY\n"
                f"{COMMAND} serve",
                language="bash",
            )


def _sync(place: DeltaGenerator) -> _Result:
    # Whatever a browser asks for: that the button is off is only what it shows.
    if why_not := _why_not():
        return _Result(None, why_not)
    connection, why = _api()
    settings = load_settings()
    lock = _one_at_a_time()
    if not lock.acquire(blocking=False):
        return _Result(None, "Another sync is running; its result shows here as soon as it is stored.")
    progress_bar = place.progress(0.0, text="Starting")
    try:

        def progress(done: int, total: int | None, what: str) -> None:
            share = min(1.0, done / total) if total else 0.0
            progress_bar.progress(
                share, text=f"{what}: {done:,} of {total:,}" if total is not None else f"{what}: {done:,}"
            )

        spools = settings.spool_dir.is_dir() or settings.spool_dir_is_default
        wanted = ApiOptions(details=_details())
        report = sync_once(settings, connection=connection, spools=spools, api_options=wanted, progress=progress)
        return _Result(report, without_api=why)
    except (StoreError, SettingsError) as error:
        return _Result(None, str(error))
    finally:
        progress_bar.empty()
        lock.release()
