# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of hosts, groups and paths are never masked; the API key always is."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.redactor import NameRedactor

HOST = "agent-007.fra1.production.example"
NAMES = {HOST, "agent-008.fra1.production.example", "production", "eu_fra1", "/home/production-ops/play", "ci-token"}
SECRETS = {
    "production": "the environment variable APP_PASSWORD",
    "fra1": "the vaulted variable region",
    "s3cr3t-value": "the variable db_password",
    "key-of-fleet": "the environment variable FLEETOPS_API_KEY",
}


@pytest.fixture
def redactor() -> NameRedactor:
    return NameRedactor(SECRETS, {*NAMES, "agent-key-of-fleet"}, {"key-of-fleet"})


# reports/2026-11 C4
@pytest.mark.parametrize(
    "text",
    [
        HOST,
        f"{HOST}: no answer.",
        f"no answer from https://{HOST}:8443/health, {HOST}.",
        f"'{HOST}' and agent-008.fra1.production.example=down",
        "group production of eu_fra1",
        "cannot read /home/production-ops/play/templates/x.j2",
        f"{HOST}-old is gone",
    ],
)
def test_names_in_a_message_are_not_masked(redactor: NameRedactor, text: str) -> None:
    assert redactor.text(text) == text


def test_secrets_are_masked_outside_of_names(redactor: NameRedactor) -> None:
    assert redactor.text("deploy to fra1 with s3cr3t-value") == "deploy to ******** with ********"
    assert redactor.text(f"{HOST} says s3cr3t-value") == f"{HOST} says ********"
    assert redactor.text("agent-key-of-fleet") == "agent-********"
    assert redactor.scrub({"ci-token": "ok", "api_token": "x"}) == {"ci-token": "ok", "api_token": "********"}


def test_the_sources_of_secrets_that_are_part_of_names_are_listed(redactor: NameRedactor) -> None:
    assert redactor.unmasked() == ["the environment variable APP_PASSWORD", "the vaulted variable region"]
