# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converts the data of AWX or ansible-runner about a job, without its events, to a Job. Pure. Drops all variables."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time, whole
from console.record.rows import Row, as_text, to_json
from console.text.json_values import listed, mapping, parsed

# The final statuses of AWX and ansible-runner, and their names in the database.
FINAL = {"successful": "successful", "failed": "failed", "error": "failed", "timeout": "failed", "canceled": "canceled"}


class Job(NamedTuple):
    """What is known about a job apart from its events. ``source`` is awx or runner.

    row: its row in the table run_jobs. run: columns of the table runs. artifacts: the data of set_stats, if the source
    has it apart from the events.
    """

    source: str
    row: Row
    run: Row
    artifacts: Mapping[str, Any]

    @property
    def key(self) -> str:
        return str(self.row["job"])

    @property
    def ended(self) -> bool:
        return self.row["status"] in FINAL.values()


def awx_key(origin: str, job_id: Any) -> str:
    """The key of an AWX job in the database; pages show only its beginning."""
    parts = urlsplit(origin)
    server = (parts.netloc + parts.path).replace(":", "-").replace("/", "-")
    return f"{job_id}-awx-{server}"


def awx_workflow(detail: Mapping[str, Any]) -> int | None:
    """The id of the workflow job that launched a job, from the job's detail record; None for other jobs."""
    return whole(mapping(mapping(detail.get("summary_fields")).get("source_workflow_job")).get("id"))


def awx_approvals(nodes: Iterable[Mapping[str, Any]]) -> list[int]:
    """The ids of the successful approvals among the nodes of a workflow job (``workflow_jobs/N/workflow_nodes/``)."""
    jobs = [mapping(mapping(node.get("summary_fields")).get("job")) for node in nodes]
    wanted = [job for job in jobs if (job.get("type"), job.get("status")) == ("workflow_approval", "successful")]
    return [found for job in wanted if (found := whole(job.get("id"))) is not None]


def awx_approvers(approvals: Iterable[Mapping[str, Any]], before: Any) -> list[str]:
    """The users who approved, from the detail records of approvals (``workflow_approvals/N/``).

    ``before``: when the job was created. Later approvals are left out: they belong to later nodes of its workflow.
    """
    created = parse_time(before)
    found = []
    for approval in approvals:
        ended = parse_time(approval.get("finished"))
        who = as_text(mapping(mapping(approval.get("summary_fields")).get("approved_or_denied_by")).get("username"))
        if who and who not in found and ended is not None and created is not None and ended <= created:
            found.append(who)
    return found


def awx_job(origin: str, detail: Mapping[str, Any], page: str, approved_by: Sequence[str]) -> Job:
    """A job from its detail record (``jobs/N/``).

    origin: the address of AWX without the path of its API. page: the address of the job's page. approved_by: the users
    who approved the workflow before it launched the job.
    """
    fields = mapping(detail.get("summary_fields"))
    job_id = str(detail["id"])
    trace = as_text(detail.get("result_traceback"))
    approved = f"approved by {' and '.join(approved_by)}" if approved_by else None
    launched_by = as_text(mapping(detail.get("launched_by")).get("name"))
    row: Row = {
        "job": awx_key(origin, job_id),
        "origin": origin,
        "job_id": job_id,
        "status": FINAL.get(str(detail.get("status")), "running"),
        **{name: as_text(detail.get(name)) for name in ("name", "playbook", "launch_type")},
        "template": as_text(mapping(fields.get("job_template")).get("name")),
        "project": as_text(mapping(fields.get("project")).get("name")),
        "launched_by": ", ".join(part for part in (launched_by, approved) if part) or None,
        "url": page,
        **{f"{name}_at": parse_time(detail.get(name)) for name in ("created", "started", "finished")},
        "explanation": as_text(detail.get("job_explanation")) or (trace.splitlines()[-1] if trace else None),
    }
    run: Row = {
        "job_id": job_id,
        "user": row["launched_by"],
        "controller": as_text(detail.get("execution_node")) or as_text(detail.get("controller_node")),
        "limit_pattern": as_text(detail.get("limit")),
        "tags_json": to_json(_words(detail.get("job_tags")) or ["all"]),
        "skip_tags_json": to_json(_words(detail.get("skip_tags"))),
        # 0 means Ansible's default.
        "forks": whole(detail.get("forks")) or None,
        "check_mode": int(detail.get("job_type") == "check"),
        "diff_mode": int(bool(detail.get("diff_mode"))),
    }
    return Job("awx", row, run, mapping(detail.get("artifacts")))


def command_of(content: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and environment in an artifact folder's ``command``. Never store the environment (secrets)."""
    found = parsed(content)
    environment = {str(k): str(v) for k, v in mapping(found.get("env")).items()}
    return [str(word) for word in listed(found.get("command"))], environment


def runner_job(
    key: str, ident: str, status: str, rc: int | None, command: Sequence[str], environment: Mapping[str, str]
) -> Job:
    """A job from an artifact folder; ``ident`` is its name, ``status`` to ``environment`` are from its files."""
    given = _arguments(command)
    if status not in FINAL and rc is not None:
        status = "failed" if rc else "successful"
    job_id = environment.get("JOB_ID") or ident
    row: Row = {
        **dict.fromkeys(("template", "project", "launch_type", "launched_by", "url")),
        **dict.fromkeys(("created_at", "started_at", "finished_at")),
        "job": key,
        "origin": "runner",
        "job_id": job_id,
        "status": FINAL.get(status, "running"),
        "name": ident,
        "playbook": given.playbook[0] if given.playbook else None,
        "explanation": f"ansible-runner says: {status}" if status in ("timeout", "error") else None,
    }
    run: Row = {
        "job_id": job_id,
        "user": None,
        "controller": None,
        "limit_pattern": given.limit,
        "tags_json": to_json(_words(given.tags) or ["all"]) if command else None,
        "skip_tags_json": to_json(_words(given.skip_tags)) if command else None,
        "forks": whole(given.forks),
        "check_mode": int(given.check) if command else None,
        "diff_mode": int(given.diff) if command else None,
    }
    return Job("runner", row, run, {})


def _arguments(command: Sequence[str]) -> argparse.Namespace:
    """The options of an ansible-playbook command that are stored with a run."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-l", "--limit")
    parser.add_argument("-t", "--tags")
    parser.add_argument("--skip-tags")
    parser.add_argument("-f", "--forks")
    parser.add_argument("-C", "--check", action="store_true")
    parser.add_argument("-D", "--diff", action="store_true")
    # Declared only so that their values are not taken for the playbook.
    for names in (("-i", "--inventory"), ("-e", "--extra-vars"), ("-u", "--user"), ("-M", "--module-path")):
        parser.add_argument(*names, action="append")
    parser.add_argument("playbook", nargs="*")
    words = list(command)
    start = next((i for i, word in enumerate(words) if word.rpartition("/")[2] == "ansible-playbook"), len(words))
    try:
        return parser.parse_known_args(words[start + 1 :])[0]
    except argparse.ArgumentError:
        return parser.parse_args([])


def _words(value: Any) -> list[str]:
    return sorted(word.strip() for word in str(value or "").split(",") if word.strip())
