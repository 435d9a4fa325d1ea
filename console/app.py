# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's entry: which pages there are, and the server in front of them. Started by ``python -m console serve``.

Streamlit imports this file once for its server, and runs it as a script at every visit of a page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this script's folder on the path; the package lies one above.
if (ROOT := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, ROOT)

if __name__ == "__main__":
    from console import sign_in, way_on
    from console.startup import settle

    settle()
    st.set_page_config(page_title="fleetops console", page_icon="🛰️", layout="wide")

    # Not in a folder named pages: Streamlit would run a deep link to it without this script, as of the first visit.
    sign_in.run(
        [
            st.Page("app_pages/overview.py", title="Overview", icon=":material/monitor_heart:", default=True),
            st.Page("app_pages/rollouts.py", title="Rollouts", icon=":material/view_timeline:"),
            st.Page("app_pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("app_pages/runs.py", title="Playbook runs", icon=":material/play_circle:"),
            st.Page("app_pages/instances.py", title="Instances", icon=":material/dns:"),
            st.Page("app_pages/audit.py", title="Audit", icon=":material/fact_check:"),
            st.Page("app_pages/actions.py", title="Console actions", icon=":material/admin_panel_settings:"),
            st.Page("app_pages/policy.py", title="Policy and window", icon=":material/event_available:"),
            st.Page("app_pages/record.py", title="Record health", icon=":material/database:"),
            st.Page("app_pages/instance.py", title="Instance", visibility="hidden"),
            st.Page("app_pages/rollout.py", title="Rollout", visibility="hidden"),
            st.Page("app_pages/run.py", title="Run", visibility="hidden"),
        ]
    )
    way_on.links()
else:
    from console.startup import accept_long_cookies, end_quietly_on_interrupt, in_front

    accept_long_cookies()
    end_quietly_on_interrupt()
    app = st.App(__file__, middleware=in_front())
