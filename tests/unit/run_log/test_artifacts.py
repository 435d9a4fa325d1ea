# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Artifacts of large fleets: texts and numbers are kept, lists of hosts are shortened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import make_report
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.artifacts import cut_artifacts

LIMIT = 65536


def report_of(hosts: int) -> dict[str, Any]:
    """The set_stats data of fleet_report after a run in which every second instance failed."""
    names = [f"agent-{number:05d}.{'long-' * 8}name.fra1.example.com" for number in range(hosts)]
    outcomes = {
        name: {"failed": True, "msg": f"{name}: the redeploy failed"} if n % 2 else {"changed": True}
        for n, name in enumerate(names)
    }
    made = make_report(names, names, outcomes, verdict="pass", server=dict.fromkeys(names, "outdated"))
    return {"fleetops_report": {**made, "plan_hash": "ab12", "override_reason": "CVE-2026-1", "check_mode": False}}


# reports/2026-11 D2
@pytest.mark.parametrize("hosts", [10, 500, 2000, 20000])
@pytest.mark.parametrize("limit", [4096, LIMIT])
def test_the_scalars_of_a_report_are_kept_for_any_size_of_the_fleet(hosts: int, limit: int) -> None:
    data = report_of(hosts)
    kept = cut_artifacts(data, limit, Redactor())
    assert len(json.dumps(kept, separators=(",", ":"))) <= limit or len(json.dumps(data)) <= limit
    report = kept["fleetops_report"]
    assert (report["override_reason"], report["plan_hash"], report["check_mode"]) == ("CVE-2026-1", "ab12", False)
    assert (report["verdict"], report["counts"]) == ("pass", data["fleetops_report"]["counts"])
    if kept != data:
        assert kept["truncated"] is True
        assert kept["left_out"]["fleetops_report.updated"] == len(data["fleetops_report"]["updated"])
        assert report["updated"] == data["fleetops_report"]["updated"][: len(report["updated"])]
    if limit == LIMIT:
        assert len(report["why"]) > 10 or hosts == 10
    assert cut_artifacts(kept, limit, Redactor()) == kept


def test_a_reason_that_is_too_long_is_shortened_and_not_left_out() -> None:
    kept = cut_artifacts({"fleetops_report": {"override_reason": "because " * 20000}}, LIMIT, Redactor())
    assert kept["fleetops_report"]["override_reason"].startswith("because because")


def test_artifacts_with_thousands_of_scalars_are_left_out_completely() -> None:
    assert cut_artifacts({f"key_{n}": n for n in range(20000)}, LIMIT, Redactor()) == {"truncated": True}
    assert cut_artifacts(["x"] * 70000, LIMIT, Redactor()) == {"truncated": True}


def test_a_number_that_json_does_not_have_affects_no_other_value() -> None:
    kept = cut_artifacts({"share": float("nan"), "fleetops_report": {"override_reason": "CVE"}}, LIMIT, Redactor())
    assert (kept["share"], kept["fleetops_report"], kept["truncated"]) == ("nan", {"override_reason": "CVE"}, True)
