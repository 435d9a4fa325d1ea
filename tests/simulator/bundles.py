# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be deployed: runtime bundles, skills and MCP servers with their versions, and the newest version of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

OLD_RUNTIMES = ("2026.5.3", "2026.6.1", "2026.6.4", "2026.7.1")
NEW_RUNTIME = "2026.8.0"
SKILLS = {"calendar": ("1.4.0", "1.5.0"), "invoice-reader": ("0.9.2", "0.9.2"), "mail-triage": ("2.0.1", "2.1.0")}
MCP_SERVERS = {"crm": ("3.2.0", "3.2.0"), "files": ("1.1.0", "1.1.0")}


def bundle_hash(version: str, variant: int = 0) -> str:
    return "sha256:" + hashlib.sha256(f"runtime-{version}-{variant}".encode()).hexdigest()


@dataclass
class Catalogue:
    """The newest version of each component: (component_type, slug) -> version."""

    newest: dict[tuple[str, str], str] = field(
        default_factory=lambda: {
            ("runtime", "agent-runtime"): NEW_RUNTIME,
            **{("skills", slug): versions[1] for slug, versions in SKILLS.items()},
            **{("mcp_servers", slug): versions[1] for slug, versions in MCP_SERVERS.items()},
        }
    )

    @property
    def runtime(self) -> str:
        return self.newest["runtime", "agent-runtime"]

    def publish(self, version: str, component: str = "runtime", slug: str = "agent-runtime") -> None:
        if (component, slug) not in self.newest:
            raise ValueError(f"there is no {component} called {slug!r}")
        self.newest[component, slug] = version
