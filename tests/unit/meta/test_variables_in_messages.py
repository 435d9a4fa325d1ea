# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A variable that a message of a module says to set exists in the playbooks."""

from __future__ import annotations

import re

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.command_line import variables_of
from tests.conftest import CHECKOUT


def test_an_option_that_a_message_says_to_set_has_a_variable_in_the_playbooks() -> None:
    code = "".join(path.read_text() for path in sorted((CHECKOUT / "plugins").rglob("*.py")))
    named = set(re.findall(r"\{with_variable\('(\w+)'\)", code))
    assert "retry_if_absent" in named
    assert {f"fleetops_{option}" for option in named} <= set(variables_of(CHECKOUT))
