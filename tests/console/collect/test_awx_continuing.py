# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which jobs of AWX an import reads, after those that earlier ones have read."""

from __future__ import annotations

from pathlib import Path

from console.collect.jobs.awx import JobFilter
from tests.console.support.awx_jobs import NOW, load
from tests.console.support.fake_awx import FakeAwx, recorded


def test_a_job_that_ended_while_the_clock_of_awx_was_ahead_hides_no_later_job(awx: FakeAwx, database: Path) -> None:
    day = 86400
    awx.add(2, 8, later_s=day)
    load(awx, database)
    awx.add(2, 9, later_s=day // 2)
    assert load(awx, database, at=NOW + day).jobs == 1
    assert load(awx, database, at=NOW + day).jobs == 0


def test_an_import_of_more_days_reads_the_jobs_that_earlier_ones_left_out(awx: FakeAwx, database: Path) -> None:
    awx.add(2, 8, later_s=-30 * 86400)
    awx.add(2, 9, later_s=-60 * 86400)
    assert load(awx, database, JobFilter(days=1)).jobs == 3
    assert load(awx, database, JobFilter(days=1)).jobs == 0
    awx.refusals = [("/api/v2/jobs/8/", 404, {}, recorded("http_404"))]
    assert load(awx, database, JobFilter(days=40)).jobs == 0
    assert load(awx, database, JobFilter(days=40)).jobs == 1
    assert load(awx, database).jobs == 1
    awx.requests.clear()
    assert load(awx, database).jobs == 0
    assert "finished__gte" in awx.requests[0]


def test_a_job_that_awx_cannot_show_does_not_hide_the_later_ones(awx: FakeAwx, database: Path) -> None:
    awx.add(2, 8, later_s=10)
    awx.add(2, 9, later_s=20)
    broken = ("/jobs/2/job_events/", 504, {}, "<h1>Gateway Time-out</h1>")
    awx.refusals = [broken]
    report = load(awx, database)
    assert (report.jobs, len(report.problems), report.away) == (4, 1, "")
    awx.refusals = [broken]
    report = load(awx, database)
    assert (report.jobs, report.known, len(report.problems)) == (0, 4, 1)
    # Two in a row are a failure of AWX, and the import ends.
    awx.add(2, 10, later_s=30)
    awx.add(2, 11, later_s=40)
    awx.refusals = [broken, ("/jobs/10/", 502, {}, {"detail": "bad gateway"})]
    report = load(awx, database)
    assert report.jobs == 0 and "/jobs/10/" in report.away
    assert not any("/jobs/11/" in request for request in awx.requests)
    assert load(awx, database).jobs == 3
