# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of roles and playbooks, and the table of them in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.command_line import SET_BY_PLAYBOOKS

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
PAGE = ROOT / "docs" / "docsite" / "rst" / "playbooks.rst"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def defaults(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "defaults" / "main.yml")


# These only have an effect in playbooks that plan by the version of the runtime.
ONLY_FOR = {"fleetops_state": {"rolling_redeploy"}}


def asked(playbook: str) -> dict[str, Any]:
    """The variables that the playbook itself reads by the lookup given, with their defaults."""
    found: dict[str, Any] = {}
    for play in load(ROOT / "playbooks" / f"{playbook}.yml"):
        found |= play.get("vars", {}).get("fleetops_defaults", {})
    return found


def variables(playbook: str) -> set[str]:
    """What a caller may give a playbook: the variables that it reads with a default, and the variables of its roles
    except those that the playbook sets itself."""
    text = (ROOT / "playbooks" / f"{playbook}.yml").read_text()
    read = set(asked(playbook)) | ({"fleetops_hosts"} if "lookup('fleetops.agents.play_hosts')" in text else set())
    of_roles = {name for role in set(re.findall(r"name: fleetops\.agents\.(\w+)", text)) for name in defaults(role)}
    given = (read | of_roles) - SET_BY_PLAYBOOKS
    return {name for name in given if playbook in ONLY_FOR.get(name, {playbook})}


def rows() -> dict[str, list[str]]:
    """The cells of each row of the page's table of variables, by the name of the variable."""
    found: dict[str, list[str]] = {}
    for row in re.split(r"^   \* - ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        cells = [cell.strip() for cell in re.split(r"\n     - ", row.split("\n\n")[0])]
        found[cells[0].strip("`")] = cells[1:]
    return {name: cells for name, cells in found.items() if name.startswith("fleetops_")}
