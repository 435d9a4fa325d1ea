# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys and their roles: 401 for a missing or invalid key, 403 for a role that is too low."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from tests.simulator.refusal import Refused

# Each role includes the permissions of the roles before it. The last also has the tenant-wide admin flag.
ROLES = ("user", "admin", "tenant_admin", "tenant_admin_override")
ENVIRONMENT = {
    "user": "SIM_USER_KEY",
    "admin": "SIM_INSTANCE_ADMIN_KEY",
    "tenant_admin": "SIM_TENANT_ADMIN_KEY",
    "tenant_admin_override": "SIM_ADMIN_KEY",
}


@dataclass
class KeyRing:
    """Keys by role; a key may expire at a virtual time."""

    keys: dict[str, str]
    expires_at: dict[str, float] = field(default_factory=dict)

    def role_of(self, key: str | None, now: float) -> str | None:
        """The role of the key, or None if the key is unknown or has expired."""
        if key is None:
            return None
        for role, known in self.keys.items():
            if hmac.compare_digest(known.encode(), key.encode()):
                expiry = self.expires_at.get(role)
                return role if expiry is None or now < expiry else None
        return None


def key_ring(environment: dict[str, str]) -> KeyRing:
    """The keys of the environment; a missing key is generated and lasts as long as the process."""
    return KeyRing({role: environment.get(name) or secrets.token_urlsafe(24) for role, name in ENVIRONMENT.items()})


def demand(role: str | None, least: str) -> None:
    """Refuses a missing key with 401 and a lower role with 403."""
    if role is None:
        raise Refused(401, "Invalid or missing API key")
    if ROLES.index(role) < ROLES.index(least):
        needed = {
            "admin": "Admin role required",
            "tenant_admin": "Tenant admin role required",
            "tenant_admin_override": "override_window requires the tenant-wide admin flag",
        }[least]
        raise Refused(403, needed)
