#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends any call to the API. The action plugin of the same name is the base of those of all modules."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: api_request
short_description: Send any request to the instance ops API
version_added: 0.1.0
description:
  - Sends one request and returns the response. Use it for requests that no other module sends.
  - A write is sent once. If its outcome is unknown, the task fails with RV(ignore:ambiguous=true).
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.connection
attributes:
  check_mode:
    support: partial
    details: In check mode, V(GET) requests are sent. All others are not sent and are reported as a change.
  diff_mode:
    support: none
    details: It is not known what a raw request changes.
  idempotent:
    support: partial
    details: V(GET) requests change nothing. Every other request counts as a change.
options:
  method:
    description: The HTTP method.
    type: str
    choices: [GET, POST, PATCH, DELETE]
    default: GET
  path:
    description: The path on the server, beginning with V(/v1/).
    type: str
    required: true
  query:
    description: Query parameters. A list is sent as one parameter for each of its values, and V(null) is not sent.
    type: dict
    default: {}
  body:
    description: The JSON body.
    type: dict
"""

EXAMPLES = r"""
---
- name: Read the update policy
  fleetops.agents.api_request:
    path: /v1/instances/fleet/updates/policy
  register: answer

- name: Read more audit events
  fleetops.agents.api_request:
    path: "/v1/instances/{{ fleetops_instance_id }}/runtime/audit"
    query:
      limit: 500
      offset: 0
  register: answer

- name: Set a policy key that only a newer server supports
  fleetops.agents.api_request:
    method: PATCH
    path: /v1/instances/fleet/updates/policy
    body:
      max_parallel_rollouts: 3
"""

RETURN = r"""
---
status:
  description: The HTTP status of the response.
  returned: success, except for a write in check mode
  type: int
  sample: 200
body:
  description: The JSON body of the response. V(null) if it was empty.
  returned: success, except for a write in check mode
  type: raw
  sample: {max_parallel_rollouts: 2}
"""

from collections.abc import Mapping
from urllib.parse import unquote

from ..module_utils._client.transport import Reply
from ..module_utils._module.operation import Context, Operation, run_as_module


def run(context: Context) -> None:
    method, path = context.params["method"], context.params["path"]
    # The server decodes the path, so an escaped dot is also refused.
    if not path.startswith("/v1/") or "?" in path or "#" in path or {".", ".."} & set(unquote(path).split("/")):
        context.fail(
            f"path is {path!r}: it must begin with /v1/ and have no part . or .. in it. Query parameters go into the "
            "option query."
        )
    for name, value in context.params["query"].items():
        if any(isinstance(one, (Mapping, list)) for one in (value if isinstance(value, list) else [value])):
            context.fail(f"query: {name} must be text, a number, a boolean or a list of these.")

    def send() -> Reply:
        return context.client.raw(method, path, query=context.params["query"], body=context.params["body"])

    reply = send() if method == "GET" else context.write(send, before=None, after=None)
    if reply is not None:
        context.result.update(status=reply.status, body=reply.body)


OPERATION = Operation(
    run=run,
    verbatim=frozenset({"body"}),
    options={
        "method": {"type": "str", "choices": ["GET", "POST", "PATCH", "DELETE"], "default": "GET"},
        "path": {"type": "str", "required": True},
        "query": {"type": "dict", "default": {}},
        "body": {"type": "dict"},
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
