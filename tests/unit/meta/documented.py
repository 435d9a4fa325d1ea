# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of the plugins."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]


PACKAGE = "ansible_collections.fleetops.agents.plugins"


def loaded(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


def fragment(name: str) -> dict[str, Any]:
    """A documentation fragment by its name in extends_documentation_fragment: of this collection or of Ansible."""
    home = PACKAGE if name.startswith("fleetops.agents.") else "ansible.plugins"
    room, _dummy, part = re.sub(r"^(fleetops\.agents|ansible\.builtin)\.", "", name).partition(".")
    found = importlib.import_module(f"{home}.doc_fragments.{room}").ModuleDocFragment
    return yaml.safe_load(getattr(found, part.upper() or "DOCUMENTATION"))


def texts(name: str) -> dict[str, str]:
    """The documentation blocks of a plugin: in its file, or in the file beside it for a test plugin."""
    beside = ROOT / "plugins" / f"{name.replace('.', '/')}.yml"
    if not beside.is_file():
        return {part: getattr(loaded(name), part, "") or "" for part in ("DOCUMENTATION", "EXAMPLES", "RETURN")}
    parts = yaml.safe_load(beside.read_text())
    return {
        part: block if isinstance(block, str) else yaml.safe_dump(block, width=9999) for part, block in parts.items()
    }


def documentation(name: str) -> dict[str, Any]:
    """A plugin's documentation with the options of its fragments."""
    document = yaml.safe_load(texts(name)["DOCUMENTATION"])
    options: dict[str, Any] = {}
    for used in document.get("extends_documentation_fragment", []):
        options |= fragment(used).get("options") or {}
    return {**document, "options": options | (document.get("options") or {})}
