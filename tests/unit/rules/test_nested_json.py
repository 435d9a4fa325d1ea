# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON that is nested too deeply for Python is refused like other invalid JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.module_utils._rules.metric_checks import checks_of
from ansible_collections.fleetops.agents.plugins.module_utils._steps.memory_backup import BackupError, read_backup
from ansible_collections.fleetops.agents.plugins.plugin_utils._controller.strict_options import read_options
from ansible_collections.fleetops.agents.plugins.plugin_utils._inventory.hosts import given_instances
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.patterns import order_of_patterns

DEEP = "[" * 200_000


def of_waves(text: str) -> None:
    variables: dict[str, Any] = {"groups": {"all": []}, "ansible_play_hosts": [], "hostvars": {}}
    found = order_of_patterns(DataLoader(), variables, canary_hosts="", waves=text, share_by="")
    raise ValueError(found["problem"])


def of_headers(text: str) -> None:
    read_options({"extra_headers": {"type": "dict"}}, {"extra_headers": text}, {}, {})


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (checks_of, "metric_checks is text, but not valid JSON"),
        (given_instances, "instances is not valid JSON"),
        (of_waves, "waves begins like JSON, but is not valid JSON"),
        (of_headers, "extra_headers must be a mapping"),
    ],
)
def test_an_option_with_too_deep_json_is_refused(read: Callable[[str], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(DEEP)


def test_a_backup_file_with_too_deep_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent-001.json"
    file.write_text(DEEP)
    with pytest.raises(BackupError, match="is damaged: it is not valid JSON"):
        read_backup(file)
