# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of playbook runs from run logs, ansible-runner artifacts and AWX job events, by (run_id, counter)."""

from __future__ import annotations

import sqlite3

from console.text.message_fingerprint import FP_VERSION, fingerprint

STATEMENTS = (
    # source: callback, runner or awx. source_ref: the name of the run log, or the job.
    # status: running, successful, failed, canceled, lost (without an end, and the writer is gone), unknown.
    # heartbeat_at: the time of the newest event. The recap columns are sums over run_hosts; `hosts` is the number of
    # hosts, with those that have no result yet. dropped_events: how many events were never read (a corrupt line) or not
    # written. check_mode: whether it counts as a check run, see console.collect.check_modes. If it does not, the list
    # check_modes in meta_json has "given" if --check was given, and "predicted" if some changes were only predicted.
    """
    CREATE TABLE runs (
      run_id TEXT PRIMARY KEY,
      source TEXT NOT NULL,
      source_ref TEXT,
      controller TEXT,
      user TEXT,
      playbook TEXT,
      check_mode INTEGER,
      diff_mode INTEGER,
      limit_pattern TEXT,
      tags_json TEXT,
      skip_tags_json TEXT,
      forks INTEGER,
      ansible_version TEXT,
      python_version TEXT,
      collection_version TEXT,
      job_id TEXT,
      status TEXT NOT NULL,
      started_at REAL,
      ended_at REAL,
      heartbeat_at REAL,
      last_counter INTEGER NOT NULL DEFAULT 0,
      events INTEGER NOT NULL DEFAULT 0,
      dropped_events INTEGER NOT NULL DEFAULT 0,
      hosts INTEGER NOT NULL DEFAULT 0,
      ok INTEGER NOT NULL DEFAULT 0,
      changed INTEGER NOT NULL DEFAULT 0,
      failed INTEGER NOT NULL DEFAULT 0,
      unreachable INTEGER NOT NULL DEFAULT 0,
      skipped INTEGER NOT NULL DEFAULT 0,
      rescued INTEGER NOT NULL DEFAULT 0,
      ignored INTEGER NOT NULL DEFAULT 0,
      stats_json TEXT,
      meta_json TEXT
    )
    """,
    "CREATE INDEX runs_started ON runs (started_at)",
    "CREATE INDEX runs_open ON runs (status) WHERE ended_at IS NULL",
    # kind: rollout, target, instance, task (a worker's task id) or action; ref: that id.
    # A rollout that someone else had started, and the run followed, has a second row of kind adopted.
    # counter and host: those of the first result that contains the id (both NULL for set_stats data).
    """
    CREATE TABLE run_links (
      run_id TEXT NOT NULL,
      kind TEXT NOT NULL,
      ref TEXT NOT NULL,
      counter INTEGER,
      host TEXT,
      PRIMARY KEY (run_id, kind, ref)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX run_links_ref ON run_links (kind, ref)",
    # One row per batch, because Ansible starts the play again for each batch (`serial`). play: 1, 2, ... in the
    # playbook; batch: 1, 2, ... in the play.
    """
    CREATE TABLE plays (
      run_id TEXT NOT NULL,
      counter INTEGER NOT NULL,
      play_uuid TEXT,
      play INTEGER NOT NULL,
      batch INTEGER NOT NULL,
      name TEXT,
      pattern TEXT,
      hosts INTEGER,
      hosts_json TEXT,
      started_at REAL,
      PRIMARY KEY (run_id, counter)
    ) WITHOUT ROWID
    """,
    # One row per task and batch. play_counter: the counter of its row in plays.
    """
    CREATE TABLE tasks (
      run_id TEXT NOT NULL,
      counter INTEGER NOT NULL,
      play_counter INTEGER,
      task_uuid TEXT,
      name TEXT,
      action TEXT,
      role TEXT,
      path TEXT,
      is_handler INTEGER NOT NULL DEFAULT 0,
      started_at REAL,
      PRIMARY KEY (run_id, counter)
    ) WITHOUT ROWID
    """,
    # kind: result (one per host and task), item (one of a loop) or retry (an attempt that will be repeated).
    # status: ok, failed, ignored (failed with ignore_errors), unreachable, skipped, retry. changed: 0, 1, or 2 for a
    # change that is only predicted, in check mode. Earlier consoles, and jobs without a run log, have 1 for these too.
    # msg_fp: fingerprint of msg, only for failed, ignored and unreachable.
    # result_json: the complete result if it failed or changed something, otherwise its ids, durations and outcomes.
    """
    CREATE TABLE host_results (
      run_id TEXT NOT NULL,
      counter INTEGER NOT NULL,
      play_counter INTEGER,
      task_counter INTEGER,
      host TEXT NOT NULL,
      kind TEXT NOT NULL,
      status TEXT NOT NULL,
      changed INTEGER NOT NULL DEFAULT 0,
      item TEXT,
      attempt INTEGER,
      started_at REAL,
      ended_at REAL,
      duration_s REAL,
      msg TEXT,
      msg_fp TEXT,
      fp_version INTEGER,
      result_json TEXT,
      truncated INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (run_id, counter)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX host_results_host ON host_results (host, ended_at)",
    "CREATE INDEX host_results_failed ON host_results (msg_fp, ended_at) WHERE status IN ('failed', 'unreachable')",
    # final: 1 if the numbers are Ansible's own recap, 0 if they are counted from the results so far.
    """
    CREATE TABLE run_hosts (
      run_id TEXT NOT NULL,
      host TEXT NOT NULL,
      ok INTEGER NOT NULL DEFAULT 0,
      changed INTEGER NOT NULL DEFAULT 0,
      failed INTEGER NOT NULL DEFAULT 0,
      unreachable INTEGER NOT NULL DEFAULT 0,
      skipped INTEGER NOT NULL DEFAULT 0,
      rescued INTEGER NOT NULL DEFAULT 0,
      ignored INTEGER NOT NULL DEFAULT 0,
      final INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (run_id, host)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX run_hosts_host ON run_hosts (host)",
    # The task that a host has started and not finished: in a running run the current one, in a lost run the last one.
    """
    CREATE TABLE run_in_flight (
      run_id TEXT NOT NULL,
      host TEXT NOT NULL,
      counter INTEGER NOT NULL,
      task_counter INTEGER,
      started_at REAL,
      PRIMARY KEY (run_id, host)
    ) WITHOUT ROWID
    """,
    # How far each source has been read. source and scope: spool (name of the run log, '' for the folder), api (tenant),
    # rollout (tenant|rollout_id, only while its targets could not be read), audit and the kinds of details of instances
    # (tenant|instance_id), awx and runner (the address or folder, and each job).
    # position: bytes read of a run log, or the counter of the last event of a job. state_json: what the reader needs to
    # continue. bad_lines: lines that were skipped. last_ok_at: "data as of". last_error: one sentence, NULL if the last
    # attempt succeeded. last_id, last_ts: the newest event of an audit or job of AWX that was read; for an api, the
    # server's time of the last read, and state_json has by how many seconds the server's clock is ahead, if it differs.
    # gap_from, gap_to: the newest event before a gap, and the oldest after it.
    """
    CREATE TABLE ingest_cursors (
      source TEXT NOT NULL,
      scope TEXT NOT NULL,
      position INTEGER,
      bad_lines INTEGER NOT NULL DEFAULT 0,
      state_json TEXT,
      last_id TEXT,
      last_ts REAL,
      last_ok_at REAL,
      last_error TEXT,
      gap_from REAL,
      gap_to REAL,
      PRIMARY KEY (source, scope)
    ) WITHOUT ROWID
    """,
)

JOBS = (
    # The jobs that ran playbooks: those of AWX, and the artifact folders of ansible-runner. One row per job.
    # job: <id>-awx-<server>, or <ident>-runner-<start of the uuid of its first event>.
    # run_id: the run that shows the job: its own (the same as job), or the callback's record of the same run.
    # origin: AWX's address, or "runner". job_id: the job's JOB_ID, as a callback inside the job records it too.
    # first_play: uuid of the first play, which identifies a callback's record of the same run that has no job id.
    # status: as in runs. relaunch_of: the previous job of the same template (derived, because AWX does not provide it).
    # launched_by: the user, and after a comma who approved the workflow of the job ("anna, approved by boris").
    # complete: 1 once the job has ended and all its events are stored.
    """
    CREATE TABLE run_jobs (
      job TEXT PRIMARY KEY,
      run_id TEXT NOT NULL,
      origin TEXT NOT NULL,
      job_id TEXT NOT NULL,
      first_play TEXT,
      status TEXT NOT NULL,
      name TEXT,
      template TEXT,
      project TEXT,
      playbook TEXT,
      launch_type TEXT,
      launched_by TEXT,
      relaunch_of TEXT,
      url TEXT,
      created_at REAL,
      started_at REAL,
      finished_at REAL,
      explanation TEXT,
      complete INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX run_jobs_run ON run_jobs (run_id)",
    "CREATE INDEX run_jobs_id ON run_jobs (job_id)",
    "CREATE INDEX run_jobs_play ON run_jobs (first_play)",
    "CREATE INDEX run_jobs_template ON run_jobs (origin, template, finished_at)",
)

FIRST_FAILURE = (
    # To find the first failure of each run without reading all its results.
    "CREATE INDEX host_results_trouble ON host_results (run_id, counter) WHERE status IN ('failed', 'unreachable')",
)

EVIDENCE = (
    # One row per plan, gate or report. counter: that of its row in host_results; this row is kept if that is pruned.
    # batch: for a gate, the batch for which it ran (1, 2, ...). verdict: for a gate or a report, pass, deferred,
    # inconclusive or fail; NULL if it failed without one, and for a plan.
    # document_json: from the run log, at most 64 KiB; its lists may be shortened ("truncated", "left_out").
    """
    CREATE TABLE run_evidence (
      run_id TEXT NOT NULL,
      counter INTEGER NOT NULL,
      kind TEXT NOT NULL,
      at REAL,
      batch INTEGER,
      verdict TEXT,
      document_json TEXT NOT NULL,
      PRIMARY KEY (run_id, counter)
    ) WITHOUT ROWID
    """,
)

SHORTER_STATES = (
    # The custom stats of a run are in runs.
    "UPDATE ingest_cursors SET state_json = json_remove(state_json, '$.run.stats_json')"
    " WHERE json_valid(state_json) AND json_extract(state_json, '$.run.stats_json') <> ''",
)


def read_failures_again(conn: sqlite3.Connection) -> None:
    """Find ignored errors by their message too, and remove the prefix that ansible-core 2.19 and newer add to messages.
    Earlier consoles stored it."""
    conn.execute("DROP INDEX host_results_failed")
    conn.create_function("fleetops_fingerprint", 2, fingerprint, deterministic=True)
    conn.execute(
        "UPDATE host_results SET (msg, msg_fp, fp_version) ="
        " (substr(msg, 14), fleetops_fingerprint(substr(msg, 14), host), ?)"
        " WHERE msg_fp IS NOT NULL AND substr(msg, 1, 13) = 'Task failed: '",
        (FP_VERSION,),
    )
    conn.execute(
        "CREATE INDEX host_results_failed ON host_results (msg_fp, ended_at)"
        " WHERE status IN ('failed', 'ignored', 'unreachable')"
    )
