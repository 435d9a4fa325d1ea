# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which values count as secrets of a run. Names of hosts, groups and paths are never masked; the API key always is."""

from __future__ import annotations

import pytest

from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.redactor import NameRedactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.secrets import environment_secrets, names_secret

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


def test_the_token_of_a_gateway_in_the_extra_headers_is_a_secret_of_the_environment() -> None:
    headers = '{"Authorization": "Bearer gateway-77777", "X-Tenant": "production", "X-Token": "other-88888"}'
    found = environment_secrets({"FLEETOPS_EXTRA_HEADERS": headers})
    assert set(found) == {"Bearer gateway-77777", "gateway-77777", "other-88888"}
    for unusable in ("", "Bearer x", "[" * 100_000, "null"):
        assert environment_secrets({"FLEETOPS_EXTRA_HEADERS": unusable}) == {}


def test_the_key_and_variables_named_like_secrets_count_as_secrets_of_the_environment() -> None:
    environ = {
        "FLEETOPS_API_KEY": "short",
        "CONTROLLER_TOKEN": "a-long-token",
        "CI_TOKEN": "main",
        "SSH_PRIVATE_KEY": __file__,
        "AWS_SECRET_ACCESS_KEY": "/begins-like-a-path",
        "HOME": "/root/something",
        "FLEETOPS_API_URL": "https://fleet.example",
    }
    assert set(environment_secrets(environ)) == {"short", "a-long-token", "/begins-like-a-path"}
    assert not environment_secrets({"FLEETOPS_API_KEY": ""})


@pytest.mark.parametrize("name", ["api_key", "db_password", "ansible_become_pass", "vault_region", "X-Api-Key"])
def test_names_of_secrets_are_recognised(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize("name", ["rollout_id", "instance_id", "key", "max_tokens", "compass", "bundle_hash"])
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not names_secret(name)
