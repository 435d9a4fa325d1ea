#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the runtime audit of one instance: events and their summary (E20, E21)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: instance_audit_info
short_description: Read the audit events of an instance
version_added: 0.2.0
description:
  - Reads the audit events of an instance, newest first, and the server's summary of all of them. The API reference does
    not specify the order of the list. If the oldest events come first, or the times show no order, the whole list is
    read.
  - The summary counts all events ever recorded. For a time range, read the events with O(since).
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.attributes.info
  - fleetops.agents.attributes.instance
  - fleetops.agents.connection
  - fleetops.agents.instance
  - fleetops.agents.listing
options:
  gather:
    description: What to read.
    type: list
    elements: str
    choices: [events, summary]
    default: [events, summary]
  since:
    description:
      - Return only events from this time on, in ISO 8601, UTC if no time zone is given. Events without a valid time are
        also returned.
      - The API cannot filter by time, does not specify the order of events, and may record an event late. So this
        option filters the events that are read because of O(limit) or O(all). RV(reaches_since) shows whether they go
        back that far.
      - With O(all), reading stops at an event that is more than five minutes older than this time, if the first page
        lists the newest events first. The time of the event or of its arrival determines this order. Otherwise the
        whole history is read.
    type: str
  outcome:
    description: Return only events with one of these outcomes, for example V(error) and V(denied).
    type: list
    elements: str
  source:
    description: Return only events from these sources.
    type: list
    elements: str
  tool_name:
    description: Return only events of these tools.
    type: list
    elements: str
"""

EXAMPLES = r"""
---
- name: Read the newest events and the summary
  fleetops.agents.instance_audit_info:
    instance_id: "{{ fleetops_instance_id }}"
  register: answer

- name: Read all errors and denials of one day
  fleetops.agents.instance_audit_info:
    instance_id: "{{ fleetops_instance_id }}"
    gather: [events]
    all: true
    since: "2026-11-23T00:00:00Z"
    outcome: [error, denied]
  register: answer

- name: Read only the summary
  fleetops.agents.instance_audit_info:
    instance_id: "{{ fleetops_instance_id }}"
    gather: [summary]
  register: answer
"""

RETURN = r"""
---
instance_id:
  description: The id of the instance.
  returned: always
  type: str
  sample: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
events:
  description: The events that pass the filters, as returned by the server.
  returned: O(gather) contains V(events)
  type: list
  elements: dict
  sample:
    - id: 0c7c2e4f-4f6a-4a2e-9f0b-3f6f9e5f2f10
      event_ts: "2026-11-24T01:00:00+00:00"
      event_type: tool_call
      outcome: error
      source: mcp_gateway
      tool_name: find_customer
summary:
  description: The server's counts of all events ever recorded.
  returned: O(gather) contains V(summary)
  type: dict
  sample: {total_events: 120, success_events: 117, error_events: 2, denied_events: 1, by_source: {agent: 40}}
truncated:
  description: Whether there are more events than were read. Always V(false) with O(all). With O(all) and O(since),
    older events than O(since) may still exist.
  returned: O(gather) contains V(events)
  type: bool
  sample: false
next_offset:
  description: The O(offset) of the next page. V(null) if there is none.
  returned: O(gather) contains V(events)
  type: int
  sample: 20
reaches_since:
  description:
    - Whether the events that were read go back to O(since). They do if there are no more events, or if they are
      listed newest first and one of them is more than five minutes older than O(since).
  returned: O(since) was given and events were read
  type: bool
  sample: true
"""

from ..module_utils._client.client import AUDIT_PAGE, AUDIT_TIMES
from ..module_utils._client.paging import read_list
from ..module_utils._module.operation import Context, Operation, read_listing, run_as_module
from ..module_utils._module.options import LISTING_OPTIONS
from ..module_utils._rules.answers import Record, parse_time
from ..module_utils._rules.audit import end_of_walk, passes

_FILTERS = ("outcome", "source", "tool_name")


def run(context: Context) -> None:
    context.result["instance_id"] = context.params["instance_id"]
    since = context.params["since"]
    start = parse_time(since)
    if since is not None and start is None:
        context.fail(f"since is {since!r}: it must be a time such as 2026-11-23T00:00:00Z.")
    if "events" in context.params["gather"]:
        _events(context, start)
    if "summary" in context.params["gather"]:
        context.result["summary"] = context.client.get_audit_summary(context.params["instance_id"])


def _events(context: Context, start: float | None) -> None:
    client, instance_id = context.client, context.params["instance_id"]
    # The first page shows the order of the list. It is kept here, so that it is not read again with all events.
    first_pages: list[list[Record]] = []

    def read_page(limit: int, offset: int) -> list[Record]:
        return first_pages.pop() if first_pages else client.list_audit_events(instance_id, limit=limit, offset=offset)

    limit, offset = context.params["limit"], context.params["offset"]
    # With a limit or an offset that is too small, read_listing fails with a message.
    if start is not None and context.params["all"] and limit >= 1 and offset >= 0:
        first = read_page(AUDIT_PAGE, offset)
        first_pages.append(first)
        ends = end_of_walk(first, start)
        rows = read_list(read_page, page=AUDIT_PAGE, start=offset, until=ends, times=AUDIT_TIMES).rows
        truncated, next_offset, reaches = False, None, True
    else:
        rows, truncated, next_offset = read_listing(context, read_page, AUDIT_PAGE, AUDIT_TIMES)
        ends = end_of_walk(rows, start) if start is not None else None
        reaches = not truncated or (ends is not None and any(map(ends, rows)))
    wanted = {name: context.params[name] or () for name in _FILTERS}
    context.result.update(
        events=[row for row in rows if passes(row, start, wanted)], truncated=truncated, next_offset=next_offset
    )
    if start is not None:
        context.result["reaches_since"] = reaches


OPERATION = Operation(
    run=run,
    options={
        "gather": {
            "type": "list",
            "elements": "str",
            "choices": ["events", "summary"],
            "default": ["events", "summary"],
        },
        "since": {"type": "str"},
        "outcome": {"type": "list", "elements": "str"},
        "source": {"type": "list", "elements": "str"},
        "tool_name": {"type": "list", "elements": "str"},
        **LISTING_OPTIONS,
    },
    on_instance=True,
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
