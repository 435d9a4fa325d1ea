# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a plugin as Ansible's own loader and configuration give them, from a process of its own.

The loader takes over how collections are imported, so it must not run in the tests' process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Options = dict[str, Any]


class Refused(Exception):
    """The plugin refused its options; the message is Ansible's."""


class PluginOptions:
    """Asks the other process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(
        self,
        kind: str,
        name: str,
        *,
        direct: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> Options:
        """The options of ``fleetops.agents.name`` in the environment of this moment. Raises Refused."""
        environment = {name: text for name, text in os.environ.items() if name.startswith("FLEETOPS_")}
        asked = {"kind": kind, "name": name, "direct": direct or {}, "variables": variables or {}, "env": environment}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if "refused" in told:
            raise Refused(told["refused"])
        return told["options"]


@contextmanager
def plugin_options() -> Iterator[PluginOptions]:
    """The other process, until the block ends."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield PluginOptions(process)
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    from ansible.errors import AnsibleError
    from ansible.plugins import loader

    loader.init_plugin_loader()
    loaders = {
        "inventory": loader.inventory_loader,
        "lookup": loader.lookup_loader,
        "callback": loader.callback_loader,
    }
    for line in sys.stdin:
        asked = json.loads(line)
        for name in [name for name in os.environ if name.startswith("FLEETOPS_")]:
            del os.environ[name]
        os.environ.update(asked["env"])
        plugin = loaders[asked["kind"]].get(f"fleetops.agents.{asked['name']}")
        try:
            plugin.set_options(var_options=asked["variables"], direct=asked["direct"])
            # Callbacks keep them under another name.
            told = {"options": getattr(plugin, "_plugin_options", None) or plugin._options}
        except AnsibleError as refused:
            told = {"refused": str(refused)}
        print(json.dumps(told, default=str), flush=True)


if __name__ == "__main__":
    _serve()
