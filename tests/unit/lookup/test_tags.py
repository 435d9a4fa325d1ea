# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tags that leave nothing of a playbook are told from those that leave all of it."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.tags import refusal_by_tags
from tests.conftest import CHECKOUT

OURS = ("fleetops.agents.rolling_redeploy",)
BY_PATH = (str(CHECKOUT / "playbooks" / "rolling_redeploy.yml"),)
PATTERN = (str(CHECKOUT / "extensions" / "patterns" / "fleet_ops" / "playbooks" / "reboot.yml"),)


@pytest.mark.parametrize(
    ("playbooks", "tags", "skipped", "said"),
    [
        (OURS, ["all"], [], ""),
        (OURS, ["all"], ["other"], ""),
        (OURS, ["untagged"], [], ""),
        (OURS, ["deploy", "all"], [], ""),
        (OURS, ["deploy"], [], "No task is left with --tags deploy:"),
        (BY_PATH, ["a", "b"], ["c"], "No task is left with --tags a,b and --skip-tags c:"),
        (PATTERN, ["always"], [], "--tags always:"),
        (OURS, ["tagged"], [], "--tags tagged:"),
        (OURS, ["all"], ["untagged"], "No task is left with --skip-tags untagged:"),
        (OURS, ["all"], ["all"], "No task is left with --skip-tags all:"),
        # The tags of an import, and other tasks of the file, are not known here.
        (("site.yml",), ["deploy"], [], ""),
        ((*OURS, "site.yml"), ["deploy"], [], ""),
        # Another program than ansible-playbook.
        ("a pattern", ["deploy"], [], ""),
        (None, None, None, ""),
    ],
)
def test_tags_that_leave_no_task_are_refused(
    playbooks: tuple[str, ...] | str | None, tags: list[str] | None, skipped: list[str] | None, said: str
) -> None:
    found = refusal_by_tags({"args": playbooks, "tags": tags, "skip_tags": skipped}, CHECKOUT)
    assert said in found and bool(found) is bool(said)
