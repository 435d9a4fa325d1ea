# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet: seeded instances with their names, components, diseases and boot times."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.simulator.bundles import MCP_SERVERS, OLD_RUNTIMES, SKILLS

if TYPE_CHECKING:
    from tests.simulator.rollouts import Target

REGIONS = ("fra1", "ams3", "nyc3", "sgp1")
DISEASES = ("none", "breakers", "process", "vps", "incurable")


class Ids:
    """Seeded UUIDs: the same seed and the same sequence of requests produce the same ids."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def take(self) -> str:
        bits = (self._random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Instance:
    """One agent on its own VPS. `versions` contains a list of (time, version) for each component, oldest first."""

    def __init__(self, index: int, instance_id: str, hostname: str, born: float) -> None:
        self.index = index
        self.id = instance_id
        self.hostname = hostname
        self.born = born
        self.gone = False
        self.stopped = False
        self.disease = "none"
        self.disease_after_deploy: str | None = None
        self.outcomes: list[Any] | str | dict[str, Any] | None = None
        self.attempts = 0
        self.process_boot = born
        self.host_boot = born
        self.current: Target | None = None
        self.restart_until: float | None = None
        self.held: list[tuple[int, Target]] = []
        self.open_targets = 0
        self.targets: list[Target] = []
        self.overrides: dict[str, str | None] = {}
        self.versions: dict[tuple[str, str], list[tuple[float, str]]] = {}
        self.cached_health: dict[str, Any] | None = None
        self.actions: list[dict[str, Any]] | None = None
        self.memories: list[dict[str, Any]] | None = None
        self.audit: Any = None

    @property
    def short(self) -> str:
        return self.hostname.partition(".")[0]

    @property
    def busy(self) -> bool:
        return self.current is not None or self.restart_until is not None

    @property
    def state(self) -> str:
        if self.gone:
            return "gone"
        if self.stopped:
            return "stopped"
        return "restarting" if self.busy else "running"

    def version(self, component: str, slug: str, moment: float = float("inf")) -> str:
        history = self.versions[component, slug]
        return history[max(0, bisect_right(history, (moment, "\uffff")) - 1)][1]

    @property
    def runtime(self) -> str:
        return self.versions["runtime", "agent-runtime"][-1][1]

    def install(self, component: str, slug: str, version: str, moment: float) -> None:
        self.versions[component, slug].append((moment, version))


class Fleet:
    """Instances in the order of their indexes."""

    def __init__(self, size: int, seed: int, born: float) -> None:
        self.seed = seed
        self._ids = Ids(f"fleet-{seed}")
        self._width = max(3, len(str(size)))
        self.instances: list[Instance] = []
        self.by_id: dict[str, Instance] = {}
        self._by_name: dict[str, Instance] = {}
        for _dummy in range(size):
            self.add(born)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances)

    def add(self, born: float, hostname: str | None = None) -> Instance:
        index = len(self.instances)
        if hostname is None:
            hostname = f"agent-{index + 1:0{self._width}d}.{REGIONS[index % len(REGIONS)]}.fleet.example"
        instance = Instance(index, self._ids.take(), hostname, born)
        instance.versions = {
            ("runtime", "agent-runtime"): [(born, OLD_RUNTIMES[0])],
            **{("skills", slug): [(born, versions[0])] for slug, versions in SKILLS.items()},
            **{("mcp_servers", slug): [(born, versions[0])] for slug, versions in MCP_SERVERS.items()},
        }
        self.instances.append(instance)
        self.by_id[instance.id] = instance
        self._by_name[instance.hostname] = instance
        self._by_name.setdefault(instance.short, instance)
        return instance

    def find(self, name: str | int) -> Instance:
        """An instance by id, host name, short name, or index from 0. Raises ValueError if there is none."""
        text = str(name)
        found = self.by_id.get(text) or self._by_name.get(text)
        if found is None and text.isdigit() and int(text) < len(self.instances):
            found = self.instances[int(text)]
        if found is None:
            raise ValueError(f"the fleet has no instance {text!r}")
        return found

    def select(self, name: str | int) -> list[Instance]:
        """All instances for `*`, otherwise the instance that `find` returns."""
        return list(self.instances) if name == "*" else [self.find(name)]
