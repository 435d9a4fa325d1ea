# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a run log."""

from __future__ import annotations

import json
from typing import Any

RUN = "5b1a8f3e-0000-4000-8000-000000000001"


NAME = f"20261124T100000Z-{RUN}.jsonl"


def lines(tasks: int = 3, hosts: int = 4, *, end: bool = True) -> list[bytes]:
    """The run log of a run with two batches of ``hosts`` hosts and ``tasks`` tasks. The last result is a failure."""
    counter = 0

    def line(name: str, **data: Any) -> bytes:
        nonlocal counter
        counter += 1
        created = f"2026-11-24T10:{counter // 60 % 60:02d}:{counter % 60:02d}.5+00:00"
        record = {"uuid": f"u{counter}", "counter": counter, "event": name, "created": created, "runner_ident": RUN}
        return json.dumps({**record, "event_data": data}).encode() + b"\n"

    about = {"run_id": RUN, "user": "ops", "tags": ["all"], "forks": 5, "started_at": "2026-11-24T09:59:59+00:00"}
    made = [line("playbook_on_start", playbook="site.yml", fleetops_run=about)]
    for batch in (1, 2):
        names = [f"agent-{batch}-{number}" for number in range(hosts)]
        made.append(line("playbook_on_play_start", play="Roll", play_uuid=f"p_{batch}", batch=batch, batch_hosts=names))
        for task in range(tasks):
            made.append(line("playbook_on_task_start", task=f"Task {task}", task_uuid=f"t{task}", task_action="ping"))
            made += [line("runner_on_start", host=host, task_uuid=f"t{task}") for host in names]
            for host in names:
                bad = (batch, task, host) == (2, tasks - 1, names[-1])
                res = {"changed": not bad, "msg": f"{host} says ü 17", "rollout_id": f"roll-{host}"}
                made.append(
                    line("runner_on_failed" if bad else "runner_on_ok", host=host, task_uuid=f"t{task}", res=res)
                )
    if end:
        ok = {f"agent-{batch}-{number}": tasks for batch in (1, 2) for number in range(hosts)}
        made.append(line("playbook_on_stats", ok=ok, changed=ok, failures={f"agent-2-{hosts - 1}": 1}, processed=ok))
    return made
