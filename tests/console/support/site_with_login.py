# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A served console with a login, its provider and the simulated API."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from console.collect.sync import sync_once
from console.settings.environment import ApiConnection, Settings
from tests.console.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, running_provider
from tests.console.support.served import free_port, serving
from tests.simulator.running import Simulator, running_simulator

ROLLOUTS = "/v1/instances/fleet/runtime/rollouts"


def groups(count: int) -> list[str]:
    """``count`` group names that do not compress, and the group of the operators."""
    return [*(str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(count)), "fleet-operators"]


PEOPLE = {
    "operator": {"sub": "p-1", "email": "ops@example.com", "email_verified": True, "groups": ["fleet-operators"]},
    # Claims and tokens become cookies of many times 8,192 bytes; then more than the console, then than Authlib accepts.
    "some": {"sub": "p-3", "email": "some@example.com", "email_verified": "true", "groups": groups(300)},
    "many": {"sub": "p-4", "email": "many@example.com", "groups": groups(2000)},
    "most": {"sub": "p-5", "email": "most@example.com", "groups": groups(4000)},
    "viewer": {"sub": "p-2", "email": "eve@example.com", "email_verified": True, "groups": ["staff"]},
}


@dataclass(frozen=True)
class Site:
    """A console with a login and a rollout under way. ``secrets``: texts that must never reach a browser."""

    url: str
    database: Path
    fleet: Simulator
    rollout_id: str
    secrets: tuple[str, ...]

    def status(self) -> str:
        return self.fleet.call("GET", f"{ROLLOUTS}/{self.rollout_id}")[1]["rollout"]["status"]


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """A console with a login, its provider and the simulated API, until the block ends."""
    port, cookie_secret = free_port(), secrets.token_urlsafe(48)
    # The clock stands still: queued targets stay queued.
    with running_simulator(instances=6, speed=0.0) as fleet, running_provider(PEOPLE) as provider:
        assert fleet.call("POST", "/v1/instances/fleet/runtime/rollout?override_window=true")[0] < 300
        fleet.advance(2)
        rollout_id = fleet.call("GET", ROLLOUTS)[1][0]["id"]
        settings = Settings(folder / "console.db", folder / "runs", run_log_dir_is_default=True)
        assert sync_once(settings, connection=ApiConnection(fleet.url, fleet.admin_key)).problems == []
        fleet.clear_journal()
        login = folder / "login.toml"
        login.touch(0o600)
        login.write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{cookie_secret}"\n'
            f'client_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
            f'server_metadata_url = "{provider.issuer}/.well-known/openid-configuration"\n'
        )
        environment = {
            **fleet.environment(),
            "FLEETOPS_CONSOLE_LOGIN": str(login),
            "FLEETOPS_CONSOLE_ACTIONS": "on",
            "FLEETOPS_CONSOLE_OPERATOR_CLAIM": "groups=fleet-operators",
        }
        with serving(settings.database, settings.run_log_dir, environment, port) as served:
            kept = (fleet.admin_key, cookie_secret, CLIENT_SECRET)
            try:
                yield Site(served.url, settings.database, fleet, rollout_id, kept)
            finally:
                log = served.log.read_text()
                assert not [secret for secret in kept if secret in log]
                # Streamlit logs with a traceback what Authlib rejects.
                assert log.count("Traceback") == log.count("OAuth token exchange failed"), log


def sign_in(page: Page, site: Site, person: str, path: str) -> None:
    """Open a deep link without a session and sign in; the login leads back to the link."""
    page.goto(site.url + path)
    page.get_by_text("Your link will open after you sign in.").wait_for()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=person).click()
    page.wait_for_url(site.url + path)
