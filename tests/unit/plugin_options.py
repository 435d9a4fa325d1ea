# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a plugin as Ansible's loader and configuration provide them, read in a separate process.

The loader changes how collections are imported, so it must not run in the process of the tests.
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
    """Reads options in the other process."""

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
        """The options of ``fleetops.agents.name`` in the current environment. Raises Refused."""
        environment = {name: text for name, text in os.environ.items() if name.startswith("FLEETOPS_")}
        asked = {"kind": kind, "name": name, "direct": direct or {}, "variables": variables or {}, "env": environment}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["options"]


@contextmanager
def plugin_options() -> Iterator[PluginOptions]:
    """A reader of options, until the block ends."""
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
            # Callbacks store them under another name.
            answer = {"options": getattr(plugin, "_plugin_options", None) or plugin._options}
        except AnsibleError as refused:
            answer = {"refused": str(refused)}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    _serve()
