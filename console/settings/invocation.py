# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that starts this console, for messages with a command to run."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def _command() -> str:
    """`python -m console` in the collection's folder, otherwise a command with a path, which works anywhere."""
    try:
        if Path("console").resolve() == _PACKAGE:
            return "python -m console"
        found = shutil.which("python")
        python = "python" if found and Path(found).samefile(sys.executable) else sys.executable
    except OSError:
        # The working directory no longer exists.
        python = sys.executable
    return f"{shlex.quote(python)} {shlex.quote(str(_PACKAGE))}"


COMMAND = _command()
