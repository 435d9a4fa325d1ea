# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of this console that messages suggest."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from console.settings.environment import is_default

_PACKAGE = Path(__file__).resolve().parents[1]


def _command() -> str:
    """`python -m console` in the collection's folder, otherwise a command with a path, which works anywhere."""
    try:
        found = Path(shutil.which("python") or "/")
        # The python of a virtual environment is a link to one that does not have its packages.
        is_on_path = found.parent == Path(sys.executable).parent and found.samefile(sys.executable)
        is_here = Path("console").resolve() == _PACKAGE and not os.environ.get("PYTHONSAFEPATH")
    except OSError:  # The working directory no longer exists.
        is_on_path = is_here = False
    python = "python" if is_on_path else shlex.quote(sys.executable)
    return f"{python} -m console" if is_here else f"{python} {shlex.quote(str(_PACKAGE))}"


COMMAND = _command()


def command_for(database: Path, words: str) -> str:
    """A command of the console for a database; without --db for the default one."""
    verb, _space, rest = words.partition(" ")
    named = "" if is_default(database) else f"--db {shlex.quote(str(database.absolute()))}"
    return " ".join(filter(None, (COMMAND, verb, named, rest)))
