# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import make_private, state_folder


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, Path("/state/fleetops/runs")),
        ({"XDG_STATE_HOME": "relative"}, Path.home() / ".local/state/fleetops/runs"),
        ({}, Path.home() / ".local/state/fleetops/runs"),
    ],
)
def test_a_relative_state_folder_is_ignored(environ: dict[str, str], expected: Path) -> None:
    assert state_folder(environ, "runs") == expected


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_created_folders_are_accessible_to_the_owner_only_and_existing_ones_keep_their_mode(
    tmp_path: Path, umask: int
) -> None:
    there = tmp_path / "state"
    there.mkdir()
    there.chmod(0o755)
    old = os.umask(umask)
    try:
        make_private(there / "fleetops" / "sent")
        make_private(there / "fleetops" / "sent")
    finally:
        os.umask(old)
    folders = (there, there / "fleetops", there / "fleetops" / "sent")
    assert [path.stat().st_mode & 0o777 for path in folders] == [0o755, 0o700, 0o700]


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "fleetops").touch()
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "fleetops")
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "fleetops" / "sent")
