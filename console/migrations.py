# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the console's database, as numbered migrations.

Common to all tables: times are REAL epoch seconds (UTC); ``*_raw`` beside one is the text the API sent. ``*_json``
columns hold JSON text. Booleans are 0 or 1. ``status`` is the canonical word, ``status_raw`` what the API said.
``first_seen`` is when the console first stored a row, ``updated_at`` when it last stored a difference.
A migration that has been released is never edited: a change is a new one at the end.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("fleetops-console")


def known_names() -> list[str]:
    """The names of all migrations of this code, in order."""
    return [migration.name for migration in migrations._migrations]


def _run(db: Database, *statements: str) -> None:
    # One by one: sqlite3's executescript would commit the transaction that guards the migration.
    for statement in statements:
        db.execute(statement)


@migrations(name="0001_runs")
def _runs(db: Database) -> None:
    """Playbook runs: from run log spools, ansible-runner artifacts or AWX job events, keyed by (run_id, counter)."""
    _run(
        db,
        # source: callback, runner or awx. source_ref: the spool file's name, or the job.
        # status: running, successful, failed, canceled, lost (no end, writer gone), unknown.
        # heartbeat_at: the newest event's time. The recap columns are sums over run_hosts, `hosts` their number.
        # dropped_events: counters up to last_counter that were never read (a corrupt line, a lost event).
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
        # counter and host: the first result of the run that names it (both empty for set_stats data).
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
        # One row a batch: Ansible starts the play anew for each (`serial`). play: 1, 2, ... over the playbook's plays;
        # batch: 1, 2, ... within one play.
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
        # One row a task a batch. play_counter is the counter of its row in plays.
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
        # kind: result (one a host and task), item (one of a loop) or retry (an attempt that will be repeated).
        # status: ok, failed, ignored (failed with ignore_errors), unreachable, skipped, retry. changed: 0 or 1.
        # msg_fp: fingerprint of msg, only for failed, ignored and unreachable.
        # result_json: the whole result for what failed or changed, else the ids and durations it names.
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
        # final: 1 when the figures are Ansible's own recap, 0 when counted from the results so far.
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
        # What a host was last seen starting and has not finished: live in a running run, the last words of a lost one.
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
        # How far each source is read. source: spool (scope: file name), api (scope: tenant), rollout
        # (scope: tenant|rollout_id, only while its details could not be read) or audit (scope: tenant|instance_id).
        # position: bytes read of a spool. state_json: what its reader must remember. bad_lines: lines skipped.
        # last_ok_at: "data as of". last_error: one sentence, empty when the last try went well.
        # gap_from, gap_to: newest event before and oldest event after a hole (event_ts).
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


@migrations(name="0002_rollouts")
def _rollouts(db: Database) -> None:
    """What the API says about tenants, policies, rollouts, targets and instances."""
    _run(
        db,
        # tenant: the API's base URL without a trailing slash; never a key.
        """
        CREATE TABLE tenants (
          tenant TEXT PRIMARY KEY,
          base_url TEXT NOT NULL,
          label TEXT,
          first_seen REAL NOT NULL
        )
        """,
        # E9; a row is added when the policy differs from the newest one stored. Hours are UTC.
        """
        CREATE TABLE policies (
          tenant TEXT NOT NULL,
          taken_at REAL NOT NULL,
          max_parallel_rollouts INTEGER,
          window_start_hour INTEGER,
          window_end_hour INTEGER,
          runtime_default TEXT,
          skills_default TEXT,
          mcp_servers_default TEXT,
          raw_json TEXT NOT NULL,
          PRIMARY KEY (tenant, taken_at)
        ) WITHOUT ROWID
        """,
        # E3. is_open: something is still under way. cancelled is derived, the API has no counter for it.
        # total_duration_s: E1's figure. targets_read: 0 while the targets could not be read for this state.
        """
        CREATE TABLE rollouts (
          tenant TEXT NOT NULL,
          rollout_id TEXT NOT NULL,
          scope TEXT,
          status TEXT NOT NULL,
          status_raw TEXT,
          is_open INTEGER NOT NULL,
          created_at REAL,
          created_raw TEXT,
          completed_at REAL,
          completed_raw TEXT,
          total INTEGER NOT NULL DEFAULT 0,
          queued INTEGER NOT NULL DEFAULT 0,
          in_progress INTEGER NOT NULL DEFAULT 0,
          succeeded INTEGER NOT NULL DEFAULT 0,
          failed INTEGER NOT NULL DEFAULT 0,
          uncertain INTEGER NOT NULL DEFAULT 0,
          cancelled INTEGER NOT NULL DEFAULT 0,
          total_duration_s REAL,
          initiated_from_ip TEXT,
          metadata_json TEXT,
          targets_read INTEGER NOT NULL DEFAULT 0,
          first_seen REAL NOT NULL,
          updated_at REAL NOT NULL,
          PRIMARY KEY (tenant, rollout_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX rollouts_created ON rollouts (tenant, created_at)",
        # E1 merged with E4 by target id. position: order in the timeline. duration_s: as the API gives it.
        """
        CREATE TABLE rollout_targets (
          tenant TEXT NOT NULL,
          rollout_id TEXT NOT NULL,
          target_id TEXT NOT NULL,
          position INTEGER NOT NULL,
          instance_id TEXT,
          hostname TEXT,
          status TEXT NOT NULL,
          status_raw TEXT,
          is_open INTEGER NOT NULL,
          last_result_status TEXT,
          created_at REAL,
          created_raw TEXT,
          started_at REAL,
          started_raw TEXT,
          completed_at REAL,
          completed_raw TEXT,
          duration_s REAL,
          countdown_s REAL,
          bundle_hash TEXT,
          celery_task_id TEXT,
          error_message TEXT,
          msg_fp TEXT,
          fp_version INTEGER,
          detail_json TEXT,
          first_seen REAL NOT NULL,
          updated_at REAL NOT NULL,
          PRIMARY KEY (tenant, rollout_id, target_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX rollout_targets_instance ON rollout_targets (tenant, instance_id, created_at)",
        "CREATE INDEX rollout_targets_open ON rollout_targets (tenant, rollout_id) WHERE is_open = 1",
        "CREATE INDEX rollout_targets_failed ON rollout_targets (msg_fp, completed_at) WHERE status = 'failed'",
        # Append only. The API keeps only the newest status; this is what we saw change, at `at` (our clock), some time
        # after `not_before` (the last look before it; empty if unknown).
        """
        CREATE TABLE target_changes (
          tenant TEXT NOT NULL,
          rollout_id TEXT NOT NULL,
          target_id TEXT NOT NULL,
          at REAL NOT NULL,
          not_before REAL,
          old_status TEXT NOT NULL,
          new_status TEXT NOT NULL,
          PRIMARY KEY (tenant, rollout_id, target_id, at)
        ) WITHOUT ROWID
        """,
        # Known from targets: the newest host name, and the bundle of the newest succeeded target.
        """
        CREATE TABLE instances (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          hostname TEXT,
          current_bundle TEXT,
          bundle_at REAL,
          first_seen REAL NOT NULL,
          updated_at REAL NOT NULL,
          PRIMARY KEY (tenant, instance_id)
        ) WITHOUT ROWID
        """,
    )


@migrations(name="0003_audit")
def _audit(db: Database) -> None:
    """Runtime audit events of the instances, their daily counts, and the API's own summary."""
    _run(
        db,
        """
        CREATE TABLE audit_events (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          id TEXT NOT NULL,
          event_id TEXT,
          event_ts REAL,
          event_ts_raw TEXT,
          ingested_at REAL,
          ingested_raw TEXT,
          source TEXT,
          event_type TEXT,
          outcome TEXT,
          role TEXT,
          tool_name TEXT,
          server_slug TEXT,
          conversation_id TEXT,
          request_id TEXT,
          metadata_json TEXT,
          PRIMARY KEY (tenant, instance_id, id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX audit_events_time ON audit_events (tenant, instance_id, event_ts)",
        # day: YYYY-MM-DD (UTC) of event_ts, '' when it has none; an absent word counts as ''.
        """
        CREATE TABLE audit_daily (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          day TEXT NOT NULL,
          source TEXT NOT NULL,
          outcome TEXT NOT NULL,
          role TEXT NOT NULL,
          tool_name TEXT NOT NULL,
          n INTEGER NOT NULL,
          PRIMARY KEY (tenant, instance_id, day, source, outcome, role, tool_name)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX audit_daily_day ON audit_daily (tenant, day)",
        # E21; a row is added when the figures differ from the newest one stored. The API's own totals: coverage is
        # count(audit_events) against the newest row's total.
        """
        CREATE TABLE audit_summaries (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          taken_at REAL NOT NULL,
          total INTEGER NOT NULL,
          success INTEGER NOT NULL,
          error INTEGER NOT NULL,
          denied INTEGER NOT NULL,
          by_source_json TEXT,
          PRIMARY KEY (tenant, instance_id, taken_at)
        ) WITHOUT ROWID
        """,
    )


@migrations(name="0004_instances")
def _instances(db: Database) -> None:
    """What was read of each instance itself: health, versions, actions, and the number of its memories."""
    _run(
        db,
        # The newest of everything, one row an instance; a group of columns is NULL until its kind was read.
        # health..trouble: E16. health: healthy, or the server's word normalised; trouble: sick subsystems and open
        # breakers in words. runtime_current..policy_json: E25; outdated: how many components wait for an update.
        # memories: E17, a number and never a content; memories_full: 1 when the API's list was cut there.
        """
        CREATE TABLE instance_state (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          health TEXT,
          checked_at REAL,
          uptime_s REAL,
          trouble TEXT,
          runtime_current TEXT,
          runtime_available TEXT,
          outdated INTEGER,
          components_json TEXT,
          policy_json TEXT,
          memories INTEGER,
          memories_full INTEGER,
          PRIMARY KEY (tenant, instance_id)
        ) WITHOUT ROWID
        """,
        # E16 as stored by the server. checked_at: when the server checked, or when it was read if it does not say.
        """
        CREATE TABLE health_checks (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          checked_at REAL NOT NULL,
          checked_raw TEXT,
          status TEXT NOT NULL,
          status_raw TEXT,
          cached INTEGER,
          uptime_s REAL,
          trouble TEXT,
          subsystems_json TEXT,
          PRIMARY KEY (tenant, instance_id, checked_at)
        ) WITHOUT ROWID
        """,
        # E25; a row is added when the versions differ from the newest one stored. versions_json: component -> version.
        """
        CREATE TABLE instance_versions (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          taken_at REAL NOT NULL,
          runtime TEXT,
          versions_json TEXT NOT NULL,
          PRIMARY KEY (tenant, instance_id, taken_at)
        ) WITHOUT ROWID
        """,
        # E11, the newest 100 of each look; an action without an id is keyed by a hash of its word and time. More than
        # 100 between two looks leave a gap in ingest_cursors (source actions).
        """
        CREATE TABLE instance_actions (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          action_id TEXT NOT NULL,
          action TEXT,
          status TEXT NOT NULL,
          status_raw TEXT,
          message TEXT,
          actor TEXT,
          created_at REAL,
          created_raw TEXT,
          completed_at REAL,
          completed_raw TEXT,
          duration_ms REAL,
          detail_json TEXT,
          PRIMARY KEY (tenant, instance_id, action_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX instance_actions_time ON instance_actions (tenant, instance_id, created_at)",
    )


@migrations(name="0005_upkeep")
def _upkeep(db: Database) -> None:
    """What was done to keep the database: backups, prunings, and where pruned audits begin."""
    _run(
        db,
        # kind: backup or prune. detail_json: the file and its bytes, or rows removed by table. Append only.
        """
        CREATE TABLE upkeep (
          kind TEXT NOT NULL,
          at REAL NOT NULL,
          detail_json TEXT,
          PRIMARY KEY (kind, at)
        ) WITHOUT ROWID
        """,
        # Raw events before this time (start of a UTC day) were pruned; their days in audit_daily are final.
        """
        CREATE TABLE audit_floors (
          tenant TEXT NOT NULL,
          instance_id TEXT NOT NULL,
          floor REAL NOT NULL,
          PRIMARY KEY (tenant, instance_id)
        ) WITHOUT ROWID
        """,
    )


@migrations(name="0006_messages")
def _messages(db: Database) -> None:
    """Where else a message was seen: before, after, and first, without reading every target there is."""
    _run(
        db,
        "CREATE INDEX rollout_targets_message ON rollout_targets (msg_fp, fp_version, created_at)"
        " WHERE msg_fp IS NOT NULL",
    )
