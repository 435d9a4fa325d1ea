# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How rollout_target judges a rollout after its retries: by all of its targets, and only if all of them are listed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.module_task import sound
from tests.integration.second_task import run_second
from tests.second_api.api import second_api

HOSTS = [f"agent-{number:03d}" for number in (1, 2, 3)]
WHOLE: dict[str, Any] = {"select": "all", "max_failed_of": "rollout", "uncertain_grace": 0, "retries": 0}


@pytest.mark.parametrize(
    ("words", "retries", "message"),
    [
        # No target can be retried.
        (["uncertain", "succeeded", "succeeded"], 0, "1 uncertain"),
        # The target that can be retried succeeds.
        (["failed", "uncertain", "uncertain"], 1, "2 uncertain"),
        # An unknown status is never selected.
        (["melted", "succeeded", "succeeded"], 0, "1 with an unknown end"),
        (["failed", "cancelled", "succeeded"], 1, "1 cancelled"),
        (["failed", "failed", "succeeded"], 2, ""),
    ],
)
def test_after_the_retries_the_rollout_is_judged_by_all_of_its_targets(
    words: list[str], retries: int, message: str
) -> None:
    with second_api(outcomes=dict(zip(HOSTS, words, strict=True)), deploy_seconds=0) as api:
        rollout_id = api.add_rollout(api.instances, "fleet")["id"]
        # There is no evidence whether an uncertain target was applied.
        api.quirks.status["get_available_updates"] = 404
        done = run_second(api, "rollout_target", rollout_id=rollout_id, **WHOLE)
        assert len(api.writes()) == retries
        assert bool(done.result.get("failed")) == bool(message), done.result
        assert message in done.msg and (not message or rollout_id in done.msg)
        allowed = run_second(api, "rollout_target", rollout_id=rollout_id, **WHOLE, max_failed=2)
        assert bool(allowed.result.get("failed")) == ("cancelled" in words), "a cancelled rollout has failed"


@pytest.mark.parametrize("targets", [None, []])
def test_retried_targets_that_are_no_longer_listed_have_not_ended(targets: Any) -> None:
    with second_api(outcomes={"agent-001": "failed"}, deploy_seconds=0) as api:
        rollout_id = api.add_rollout(api.instances, "fleet")["id"]
        looks: list[int] = []

        def hide_after_the_retry(usual: Any) -> Any:
            looks.append(len(api.writes()))
            return {**usual, "targets": targets} if looks.count(1) > 1 else usual

        api.quirks.answers["get_rollout"] = hide_after_the_retry
        done = run_second(api, "rollout_target", rollout_id=rollout_id, select="failed", wait_timeout=30)
        assert done.result["failed"] and done.result["changed"] and done.result["timed_out"]
        assert "1 of 1 retried targets" in done.msg and "no longer lists" in done.msg
        del api.quirks.answers["get_rollout"]
        assert not sound(run_second(api, "rollout_target", rollout_id=rollout_id, select="failed"))["changed"]


def test_failed_targets_that_are_counted_but_not_listed_were_not_retried() -> None:
    with second_api(outcomes=dict.fromkeys(HOSTS[:2], "failed"), deploy_seconds=0) as api:
        rollout_id = api.add_rollout(api.instances, "fleet")["id"]
        options: dict[str, Any] = {"rollout_id": rollout_id, "select": "failed"}
        said = f"Rollout {rollout_id} counts more failed targets than the server lists"

        def hide(number: int) -> None:
            api.quirks.answers["get_rollout"] = lambda usual: {**usual, "targets": usual["targets"][number:]}

        hide(3)
        for more in ({"check": True}, {"wait": False}, {}):
            done = run_second(api, "rollout_target", **options, **more)
            assert done.result["failed"] and not done.result["changed"] and f"{said}: 2 could not" in done.msg
        assert not sound(run_second(api, "rollout_target", **options, max_failed=2))["changed"]
        assert not sound(run_second(api, "rollout_target", **{**options, "select": "uncertain"}))["changed"]
        assert api.writes() == []
        hide(1)
        done = run_second(api, "rollout_target", **options)
        assert done.result["failed"] and len(done.result["retried"]) == 1 and f"{said}: 1 could not" in done.msg
        assert api.writes() == ["retry_rollout_target"]
