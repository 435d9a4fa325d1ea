# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who started a run, where and how: the first line of its log."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.release import __version__ as ansible_version


def run_origin(run_id: str, started: datetime) -> dict[str, Any]:
    """The data ``fleetops_run`` of ``playbook_on_start``. Arguments and extra variables are left out."""
    given = context.CLIARGS
    return {
        "run_id": run_id,
        "user": _user(),
        "controller": socket.gethostname(),
        "check_mode": bool(given.get("check")),
        "diff_mode": bool(given.get("diff")),
        "limit": given.get("subset") or None,
        "tags": sorted(given.get("tags") or ()),
        "skip_tags": sorted(given.get("skip_tags") or ()),
        "forks": given.get("forks"),
        "ansible_version": ansible_version,
        "python_version": platform.python_version(),
        "collection_version": collection_version(),
        "job_id": os.environ.get("JOB_ID") or None,
        "started_at": started.isoformat(),
    }


def collection_version() -> str | None:
    """The version of this collection: from its manifest if it is installed, from galaxy.yml in a checkout, or None."""
    root = Path(__file__).resolve().parents[3]
    try:
        return json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
    except (OSError, ValueError, KeyError):
        pass
    try:
        found = re.search(r"^version:\s*(\S+)", (root / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1) if found else None


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # In a container, a user may have no name.
        return str(os.getuid())
