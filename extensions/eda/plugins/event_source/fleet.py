# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Event source for ansible-rulebook: events of the rollouts, targets, instances and audit of a fleet.

Its parts are in plugins/plugin_utils/_event_source, because every Python file in this folder counts as an event source.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
short_description: Follow the rollouts, the health and the audit of a fleet
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
description:
  - Polls the instance ops API and sends an event for each change.
  - The sent events are recorded in a watermark file, so that no event is sent twice or left out when ansible-rulebook
    is started again. If the process is killed after it has sent an event and before it has recorded that, this one
    event is sent again, with the same C(meta.uuid) and C(repeated=true).
  - The API reports states, not changes. Something that begins and ends between two polls causes no event.
  - If an instance is unhealthy during its deployment, or within a minute after it, there is no event.
  - The API has no list of instances. The source knows those that took part in the newest rollouts, and those in
    O(instances).
  - For its playbooks, ansible-rulebook copies only the file that C(-i) names. If group_vars or host_vars are beside
    that file, the source stops, since the playbooks would run without these variables. Give the folder instead.
  - If the key is wrong, the source stops. While the API does not answer, it keeps trying and logs each failure. A key
    that has been accepted before must be refused for about half a minute, because a proxy may have refused it.
  - The guide lists the events with their fields. Their JSON schema is C(extensions/eda/schemas/fleet.json).
requirements:
  - The Python package requests, where ansible-rulebook runs.
options:
  api_url:
    description:
      - Address of the server. If it is not set, the environment variable E(FLEETOPS_API_URL) is used.
      - A proxy is taken from the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY).
        A SOCKS proxy needs the Python package C(PySocks).
    type: str
    required: true
  api_key:
    description:
      - The key that is sent in the header C(X-Api-Key). A key with the role of a user is sufficient.
      - If it is not set, the environment variable E(FLEETOPS_API_KEY) is used, which keeps it out of the rulebook.
    type: str
    required: true
  validate_certs:
    description: Whether the server's TLS certificate must be trusted; also E(FLEETOPS_VALIDATE_CERTS).
    type: bool
    default: true
  ca_path:
    description:
      - A file of certificates (PEM), or a folder of them, to trust instead of those of the Python library. Also
        E(FLEETOPS_CA_PATH). In a folder, each file must be named by its hash (C(openssl rehash)).
    type: str
  request_timeout:
    description:
      - Seconds within which a complete answer must arrive. Also E(FLEETOPS_REQUEST_TIMEOUT).
      - For a live health check (O(live)), this is at least 60 seconds.
    type: float
    default: 30
  extra_headers:
    description:
      - Additional headers to send with each request, for example for a gateway in front of the server.
      - If it is not set, the environment variable E(FLEETOPS_EXTRA_HEADERS) is used, in which it is written as JSON.
    type: dict
    default: {}
  max_rate:
    description: The maximum number of calls per second. While a server's C(Retry-After) lasts, none are sent.
    type: float
    default: 10
  interval:
    description: Seconds between two polls of the rollouts.
    type: float
    default: 30
  instance_interval:
    description: Seconds between two polls of all instances, with one call for the health and one for the audit of each.
    type: float
    default: 60
  events:
    description:
      - The types of events to send. Data that none of them needs is not read.
      - There are also V(fleetops.target.succeeded) and V(fleetops.audit.event).
    type: list
    elements: str
    default:
      - fleetops.rollout.started
      - fleetops.rollout.paused
      - fleetops.rollout.resumed
      - fleetops.rollout.finished
      - fleetops.target.failed
      - fleetops.target.uncertain
      - fleetops.instance.unhealthy
      - fleetops.instance.healthy
      - fleetops.instance.gone
  start_from:
    description:
      - Which events to send when there is no watermark yet.
      - V(now) sends events about changes from now on, and about instances that are unhealthy now.
      - V(earliest) also sends events about the past. These are events of the newest 100 rollouts and, for each
        instance, of its newest 500 audit events, or of those of the last ten minutes if these are more.
    type: str
    choices: [now, earliest]
    default: now
  instances:
    description:
      - Instances that took part in no rollout, as names and ids, like in the inventory file. These names take
        precedence over those of the API.
      - Put the ids in quotes, since YAML reads some of them as numbers.
    type: dict
    default: {}
  live:
    description:
      - Whether to make a live check of each agent instead of reading its stored health. This loads the agents.
    type: bool
    default: false
  unhealthy_after:
    description: How many consecutive checks must find an instance unhealthy before an event is sent.
    type: int
    default: 1
  audit_outcomes:
    description: The outcomes of audit events that are sent.
    type: list
    elements: str
    default: [error, denied]
  watermark:
    description:
      - The file in which the sent events are recorded. Each rulebook needs its own. Also E(FLEETOPS_EDA_WATERMARK).
      - In a decision environment it must be on a volume that outlives the container.
    type: str
    default: ~/.local/state/fleetops/eda-watermark.json
  feedback:
    description:
      - Whether to wait until the rule engine confirms an event before it is recorded as sent. ansible-rulebook supports
        this with C(--persistence-id) and a C(name) for this source.
    type: bool
    default: false
"""

EXAMPLES = r"""
# The address and the key are in the environment.
- name: fleet
  fleetops.agents.fleet:
    interval: 15
    watermark: /var/lib/fleetops/eda-watermark.json

- name: fleet
  fleetops.agents.fleet:
    events:
      - fleetops.instance.unhealthy
      - fleetops.audit.event
    audit_outcomes: [denied]
    live: true
    unhealthy_after: 2
    instances:
      agent-900: "6f1c1d2e-0000-4000-8000-000000000900"
"""


def _make_collection_importable(file: Path) -> None:
    """Add the folder of collections that contains ``file`` to Python's path.

    ansible-rulebook runs an event source by its path, without the import of collections. A checkout outside of a folder
    of collections must be importable already.
    """
    folder = file.absolute().parents[6]
    if folder.name != "ansible_collections":
        return
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    import ansible_collections

    if str(folder) not in ansible_collections.__path__:
        # The Python package "ansible" contains a package ansible_collections, which hides all other folders.
        ansible_collections.__path__.append(str(folder))


_make_collection_importable(Path(__file__))

from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError  # noqa: E402
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.polling import follow  # noqa: E402


async def main(queue: asyncio.Queue, args: dict[str, Any]) -> None:
    """Put events into ``queue`` until cancelled. Raises SourceError, with one sentence, for a permanent error."""
    await follow(queue, args)


if __name__ == "__main__":

    class Printer:
        """A queue that prints each event, to run the source without ansible-rulebook."""

        async def put(self, row: dict[str, Any]) -> None:
            print(json.dumps(row), flush=True)  # noqa: T201

    logging.basicConfig(format="%(message)s")
    try:
        asyncio.run(main(Printer(), {}))  # type: ignore[arg-type]
    except KeyboardInterrupt:
        pass
    except SourceError as problem:
        raise SystemExit(str(problem)) from None
