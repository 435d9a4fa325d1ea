# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a login belongs to and what it may do: the claims of an OIDC login -> an identity. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.settings import Acting

# The login's cookie holds its claims for 30 days; a role that was taken away must not live that long.
FRESH_SECONDS = 12 * 3600.0


@dataclass(frozen=True)
class Identity:
    """A visitor. ``name``: for people. ``why_not``: why the role is not operator, one sentence, '' for one."""

    issuer: str = ""
    subject: str = ""
    name: str = ""
    role: str = "nobody"
    why_not: str = "You are not signed in."

    @property
    def may_act(self) -> bool:
        return self.role == "operator"


def identity(claims: Mapping[str, Any], acting: Acting, now: float) -> Identity:
    """The identity behind the claims (st.user as a mapping; ``iat`` in epoch seconds UTC). Never raises.

    An operator is named by ``sub``, by an ``email`` that the provider has verified, or by the operator's claim, and
    has signed in within the last 12 hours. Everybody else who is signed in is a viewer.
    """
    issuer, subject = _word(claims.get("iss")), _word(claims.get("sub"))
    # Claims without an issuer are no login: a header that a proxy was trusted with, for one.
    if claims.get("is_logged_in") is not True or not issuer or not subject:
        return Identity()
    name = _word(claims.get("email")) or _word(claims.get("preferred_username")) or _word(claims.get("name")) or subject
    why_not = _why_not(claims, acting, now)
    return Identity(issuer, subject, name, "viewer" if why_not else "operator", why_not)


def _why_not(claims: Mapping[str, Any], acting: Acting, now: float) -> str:
    if not _is_listed(claims, acting) and not _has_claim(claims, acting.operator_claim):
        if _word(claims.get("email")) in acting.operators:
            return "The login provider did not say that your address is verified, so it makes you no operator."
        return "You may look only: your login is not one of the operators'."
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, (int, float)) or not now - issued <= FRESH_SECONDS:
        return f"You signed in more than {FRESH_SECONDS / 3600:g} hours ago: sign out and in again to act."
    return ""


def _is_listed(claims: Mapping[str, Any], acting: Acting) -> bool:
    if _word(claims.get("sub")) in acting.operators:
        return True
    address = _word(claims.get("email")).lower()
    listed = {operator.lower() for operator in acting.operators}
    return bool(address) and claims.get("email_verified") is True and address in listed


def _has_claim(claims: Mapping[str, Any], wanted: tuple[str, str] | None) -> bool:
    if wanted is None:
        return False
    name, value = wanted
    found = claims.get(name)
    if found is None:
        # As some providers nest them: realm_access.roles.
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return value in found if isinstance(found, (list, tuple)) else found == value


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
