# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that an operation left failed or uncertain and that have not recovered since, and unsuccessful runs.
Instances that the API no longer knows, and those of retired tenants, are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from console.outcomes.facts import ROLLOUT, RUN, Facts
from console.outcomes.outcome import counts, has_report, outcomes
from console.outcomes.verdict import Verdict, verdict
from console.outcomes.words import CANCELLED, CHECK, COMPLETE, DEFERRED, FAILED, PROBLEMS, UNCERTAIN
from console.record.connection import dicts, first_column
from console.record.read.operation_facts import Instance, facts_of_run, instances_of_run, name_of
from console.record.read.sql import HOST, IS_FAILURE, RETIRED, STARTED, SUCCEEDED_LATER, WAS_SENT, is_instance
from console.record.rows import Row
from console.text.message_fingerprint import fingerprint

MAX_ROLLOUTS, MAX_RUNS, MAX_WHOLE, MAX_HOSTS = 500, 100, 5, 20_000
"""Limits: how many of the newest rollouts and runs with problems are examined; for how many runs without a report all
results are read; and how many instances are returned."""

DEPLOYS = ("rolling_redeploy", "apply_updates", "fleet_rollout")
RESTARTS = ("recover", "reboot", "power_cycle")


@dataclass(frozen=True)
class Failing:
    """One instance that an operation left failed or uncertain (status). at: since when. message: '' if there is none.
    kind, key: the operation (a run or a rollout). instance_id, tenant: None for a host that is not a known instance.
    """

    status: str
    host: str
    tenant: str | None
    instance_id: str | None
    message: str
    at: float | None
    kind: str
    key: str

    @property
    def identity(self) -> tuple[str | None, str]:
        """Distinguishes the instance from others with the same host name and, for other tenants, the same id."""
        return _identity(self.tenant, self.instance_id, self.host)

    @property
    def cause(self) -> str:
        """The fingerprint of the message, which is the same for messages that differ only in hosts, ids or numbers."""
        return fingerprint(self.message, self.host) if self.message else ""


def _identity(tenant: str | None, instance_id: str | None, host: str) -> tuple[str | None, str]:
    return tenant, instance_id or host


# The API no longer knows the instance, which may have been recreated with another id, or is no longer read.
_GONE = f"""
({{i}}.tenant IN {RETIRED} OR EXISTS (
  SELECT 1 FROM instance_state s
  WHERE s.tenant = {{i}}.tenant AND s.instance_id = {{i}}.instance_id AND s.health = 'gone'))
"""  # noqa: S608 - no user input

# The versions of the instance were read since (E25), and it runs the published one.
_CURRENT_SINCE = """
EXISTS (
  SELECT 1 FROM instance_state s JOIN ingest_cursors c
    ON c.source = 'updates' AND c.scope = s.tenant || '|' || s.instance_id
  WHERE s.tenant = {i}.tenant AND s.instance_id = {i}.instance_id
    AND s.runtime_current = s.runtime_available AND c.last_ok_at > {at})
"""

# There is a newer target, which is judged by itself. A cancelled one left the instance as it was.
_TARGET_SINCE = """
EXISTS (
  SELECT 1 FROM rollout_targets n INDEXED BY rollout_targets_instance
  WHERE n.tenant = {i}.tenant AND n.instance_id = {i}.instance_id AND n.created_at > {at}
    AND n.status IS NOT 'cancelled')
"""

# A later task of this collection was successful on the instance {i}, and not in check mode.
_DONE_SINCE = f"""
EXISTS (
  SELECT 1 FROM host_results h INDEXED BY host_results_host
  JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter JOIN runs r ON r.run_id = h.run_id
  WHERE h.host = {{i}}.host AND h.ended_at > {{at}} AND h.kind = 'result' AND h.status = 'ok'
    AND {is_instance("{i}.tenant", "{i}.instance_id")}
    AND k.action IN ({{actions}}) AND coalesce(r.check_mode, 0) = 0
    AND (h.changed = 0 OR {WAS_SENT}))
"""  # noqa: S608 - no user input


def _actions(*names: str) -> str:
    return ", ".join(f"'fleetops.agents.{name}'" for name in names)


_DEPLOYED = _actions("instance_runtime", "instance_update")
_RESTARTED = _actions("instance_runtime", "instance_power_cycle", "instance_reboot")

_TARGETS = f"""
WITH recent AS (
  SELECT tenant, rollout_id FROM rollouts
  WHERE created_at >= :since AND failed + uncertain > 0 ORDER BY created_at DESC LIMIT {MAX_ROLLOUTS}
), bad AS (
  SELECT t.* FROM recent JOIN rollout_targets t USING (tenant, rollout_id)
  WHERE t.status IN ('failed', 'uncertain') AND NOT {_TARGET_SINCE.format(i="t", at="t.created_at")}
), named AS (
  SELECT t.status, {HOST} AS host, t.tenant, t.instance_id, t.rollout_id,
         substr(coalesce(t.error_message, ''), 1, 600) AS message, coalesce(t.completed_at, t.created_at) AS at
  FROM bad t
)
SELECT status, host, tenant, instance_id, message, at, coalesce(run_id, rollout_id) AS key,
       CASE WHEN run_id IS NULL THEN '{ROLLOUT}' ELSE '{RUN}' END AS kind
FROM (
  SELECT b.*, (SELECT l.run_id FROM run_links l WHERE l.kind = 'rollout' AND l.ref = b.rollout_id AND {STARTED}
               LIMIT 1) AS run_id
  FROM named b
  WHERE NOT {_GONE.format(i="b")} AND NOT {_CURRENT_SINCE.format(i="b", at="b.at")}
    AND NOT {_DONE_SINCE.format(i="b", at="b.at", actions=_DEPLOYED)}
  LIMIT {MAX_HOSTS})
"""  # noqa: S608 - no user input


def failing_targets(conn: Connection, since: float) -> list[Failing]:
    """The instances whose newest target failed or is uncertain and that have not recovered since."""
    return [Failing(**row) for row in dicts(conn, _TARGETS, {"since": since})]


# Those that did not succeed, and those that succeeded because failures were ignored or rescued.
_BAD_RUNS = f"""
SELECT r.*, {SUCCEEDED_LATER} AS succeeded_later FROM runs r
WHERE r.started_at >= :since AND (r.status IN ('failed', 'lost', 'unknown', 'canceled')
  OR r.status = 'successful' AND r.rescued + r.ignored > 0 AND r.run_id IN (
    SELECT h.run_id FROM host_results h INDEXED BY host_results_failed
    LEFT JOIN tasks k ON k.run_id = h.run_id AND k.counter = h.task_counter
    WHERE h.msg_fp IS NOT NULL AND h.ended_at >= :since AND {IS_FAILURE}))
ORDER BY r.started_at DESC LIMIT {MAX_RUNS}
"""  # noqa: S608 - no user input


def failing_in_runs(
    conn: Connection, since: float, of_targets: Sequence[Failing]
) -> tuple[list[Failing], list[tuple[Row, Verdict]]]:
    """The instances that runs left failed or uncertain and that are not in ``of_targets``; and the unsuccessful runs
    without such instances, each with its verdict, unless a later run of the same playbook was successful."""
    known = {failing.identity for failing in of_targets}
    found: list[Failing] = []
    runs: list[tuple[Row, Verdict]] = []
    reads_left = MAX_WHOLE
    for run in dicts(conn, _BAD_RUNS, {"since": since}):
        if not run["stats_json"] and reads_left <= 0:
            # The limit for runs without a report is reached: this run is returned without its instances.
            facts = Facts(RUN, name_of(run["playbook"]), run["status"], bool(run["check_mode"]))
        else:
            facts = facts_of_run(conn, run, details=False)
        reads_left -= not has_report(facts)
        counted = counts(facts)
        if counted[FAILED] + counted[UNCERTAIN] and not facts.check:
            if facts.report_cut & PROBLEMS and reads_left > 0:
                reads_left -= 1
                facts = facts_of_run(conn, run, details=True)
            of_hosts = outcomes(facts)
            bad = [host for host, outcome in of_hosts.items() if outcome.category in PROBLEMS]
            ids = instances_of_run(conn, run["run_id"], bad)
            ids = {host: instance for host, instance in ids.items() if _identity(*instance, host) not in known}
            known |= {_identity(*instance, host) for host, instance in ids.items()}
            at = run["ended_at"] or run["heartbeat_at"] or run["started_at"]
            # From the end of the run, so that its own tasks do not count as a recovery.
            recovered = _recovered(conn, facts.name, run["playbook"], ids, at)
            found += [
                Failing(outcome.category, host, *ids[host], outcome.message, outcome.since or at, RUN, run["run_id"])
                for host, outcome in of_hosts.items()
                if host in ids and host not in recovered
            ]
            continue
        judged = verdict(facts, counted)
        if judged.word not in (COMPLETE, CHECK, CANCELLED, DEFERRED) and not run["succeeded_later"]:
            runs.append((run, judged))
    return found[:MAX_HOSTS], runs


_HOSTS = """
WITH w AS (
  SELECT json_extract(value, '$[0]') AS host, json_extract(value, '$[1]') AS tenant,
         json_extract(value, '$[2]') AS instance_id FROM json_each(:hosts))
SELECT w.host FROM w WHERE
"""
_HEALTHY_SINCE = """
EXISTS (SELECT 1 FROM instance_state s WHERE s.tenant = w.tenant AND s.instance_id = w.instance_id
        AND s.health = 'healthy' AND s.checked_at > :at)
"""
_SAME_PLAYBOOK = f"""
EXISTS (
  SELECT 1 FROM host_results h INDEXED BY host_results_host JOIN runs r ON r.run_id = h.run_id
  WHERE h.host = w.host AND h.ended_at > :at AND h.kind = 'result' AND h.status = 'ok'
    AND {is_instance("w.tenant", "w.instance_id")}
    AND r.playbook IS :playbook AND r.started_at > :at AND coalesce(r.check_mode, 0) = 0
    AND NOT EXISTS (SELECT 1 FROM run_hosts n
                    WHERE n.run_id = r.run_id AND n.host = w.host AND n.failed + n.unreachable > 0))
"""  # noqa: S608 - no user input


def _recovered(conn: Connection, name: str, playbook: str | None, hosts: Mapping[str, Instance], at: float) -> set[str]:
    """Which of these hosts have recovered since, or are gone.

    From a failed deploy: by a newer target, which is judged by itself, by a later successful deploy, or because the
    instance runs the published version. From a failed restart: by a later successful one, or because the instance is
    healthy. From anything else: by a later success of the same playbook.
    """
    if name in DEPLOYS:
        ways = [
            _TARGET_SINCE.format(i="w", at=":at"),
            _CURRENT_SINCE.format(i="w", at=":at"),
            _DONE_SINCE.format(i="w", at=":at", actions=_DEPLOYED),
        ]
    elif name in RESTARTS:
        ways = [_HEALTHY_SINCE, _DONE_SINCE.format(i="w", at=":at", actions=_RESTARTED)]
    else:
        ways = [_SAME_PLAYBOOK]
    params = {"hosts": [(host, *known) for host, known in hosts.items()], "at": at, "playbook": playbook}
    return set(first_column(conn, _HOSTS + " OR ".join([*ways, _GONE.format(i="w")]), params))
