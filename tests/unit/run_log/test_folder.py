# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of the run logs, as Ansible passes the option."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.fleetops.agents.plugins.callback.run_log import _checked
from ansible_collections.fleetops.agents.plugins.module_utils._steps.whole_file import FileError


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("{here}/runs", ""),
        ("{config}/runs", ""),
        ("/srv/~old/runs", ""),
        ("{here}/~nouser/runs", "~nouser is not the home of a user"),
        ("{config}/~nouser/runs", "~nouser is not the home of a user"),
        ("{here}/$NOPE/runs", "$NOPE is not an environment variable"),
        ("/srv/$NOPE/runs", "The path /srv/$NOPE/runs cannot be used: $NOPE is not an environment variable"),
    ],
)
def test_a_folder_that_ansible_could_not_resolve_is_refused(
    folder: str, refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, config = tmp_path / "here", tmp_path / "config"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(constants, "CONFIG_FILE", str(config / "ansible.cfg"))
    given = Path(folder.format(here=here, config=config))
    try:
        assert _checked(given) == given and not refused
    except FileError as bad:
        assert refused and refused in str(bad)
