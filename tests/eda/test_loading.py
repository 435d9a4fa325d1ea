# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-rulebook runs the event source by its path, in a process without an import path for collections."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.eda.following import CHECKOUT

PATH = "ansible_collections/fleetops/agents/extensions/eda/plugins/event_source/fleet.py"


@pytest.mark.parametrize("with_community_package", [False, True])
def test_the_event_source_finds_its_collection_by_its_own_path(tmp_path: Path, with_community_package: bool) -> None:
    agents = tmp_path / "collections" / "ansible_collections" / "fleetops" / "agents"
    agents.parent.mkdir(parents=True)
    agents.symlink_to(CHECKOUT)
    others = tmp_path / "site-packages"
    (others / "ansible_collections").mkdir(parents=True)
    if with_community_package:
        # The Python package "ansible" has this file, so its folder is a regular package.
        (others / "ansible_collections" / "__init__.py").touch()
    program = f"import runpy, sys; sys.path.append({str(others)!r}); import ansible_collections\n"
    program += "source = runpy.run_path(sys.argv[1]); print(source['main'].__name__, source['SourceError'].__name__)"
    # -S, because the collection can be imported from the site-packages of the tests.
    command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path / "collections" / PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("main SourceError\n", "")
