# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity behind the claims of an OIDC login, and whether it may act. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.settings.login_file import Acting

# The login's cookie keeps its claims for 30 days; a role that was revoked must not last that long.
FRESH_SECONDS = 12 * 3600.0
# How much the clocks of two servers may differ.
LEEWAY_SECONDS = 60.0


@dataclass(frozen=True)
class Identity:
    """A visitor. ``name``: for people. ``why_not``: why the role is not operator, for the visitor; '' if it is."""

    issuer: str = ""
    subject: str = ""
    name: str = ""
    role: str = "nobody"
    why_not: str = "You are not signed in."

    @property
    def may_act(self) -> bool:
        return self.role == "operator"


def identity(claims: Mapping[str, Any], acting: Acting, now: float) -> Identity:
    """The identity behind the claims (st.user as a mapping; their times in epoch seconds UTC). Never raises.

    An operator is listed by ``sub``, by an ``email`` that the provider has verified, or by the claim for operators. The
    claims must come from the configured provider, and the login must be from the last 12 hours. Everybody else who is
    signed in is a viewer.
    """
    issuer, subject = _word(claims.get("iss")), _word(claims.get("sub"))
    # Claims without an issuer are not a login; they may come from a header of a trusted proxy.
    if claims.get("is_logged_in") is not True or not issuer or not subject:
        return Identity()
    name = _word(claims.get("email")) or _word(claims.get("preferred_username")) or _word(claims.get("name")) or subject
    why_not = _why_not_of_this_login(claims, acting) or _why_not_listed(claims, acting) or _why_not_now(claims, now)
    return Identity(issuer, subject, name, "viewer" if why_not else "operator", why_not)


def _why_not_of_this_login(claims: Mapping[str, Any], acting: Acting) -> str:
    """Other issuers may give the same subjects and addresses to other people."""
    if _word(claims.get("iss")).rstrip("/") != acting.issuer.rstrip("/") or not acting.issuer:
        expected = f"is {acting.issuer}" if acting.issuer else "is not known"
        return (
            f"Your login is from the issuer {_word(claims.get('iss'))}, but the issuer of this console {expected}: sign"
            " out and in again. If that does not help, ask the administrator of the console to set"
            " FLEETOPS_CONSOLE_ISSUER to the correct issuer."
        )
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, (list, tuple)) else [audience]
    if acting.login is not None and audience is not None and acting.login.client_id not in audiences:
        return "Your login was issued for a program other than this console: sign out and in again."
    return ""


def _why_not_listed(claims: Mapping[str, Any], acting: Acting) -> str:
    if f"sub:{_word(claims.get('sub'))}" in acting.operators or _has_claim(claims, acting.operator_claim):
        return ""
    address = _word(claims.get("email"))
    listed = {_folded(entry.removeprefix("email:")) for entry in acting.operators if entry.startswith("email:")}
    if not address or _folded(address) not in listed:
        hint = " The login provider did not send your address (the claim email)." if listed and not address else ""
        return f"You can view but not act: your login is not in the list of operators.{hint}"
    verified = claims.get("email_verified")
    # Some providers send it as text.
    if verified is True or _word(verified).lower() == "true":
        return ""
    answer = "did not say whether" if verified is None else "says that it has not checked whether"
    return (
        f"{address} is an operator's address, but the login provider {answer} it is yours. Have it verified there (the"
        " claim email_verified), or ask the administrator of the console to list you by your subject,"
        f" sub:{_word(claims.get('sub'))}, or by a claim."
    )


def _why_not_now(claims: Mapping[str, Any], now: float) -> str:
    # exp is not checked: it limits the time in which the token can start a login, usually to minutes.
    issued, not_before = _number(claims.get("iat")), _number(claims.get("nbf"))
    if issued is None:
        return "The login provider did not say when you signed in (the claim iat), so you are not an operator."
    if max(issued, not_before or issued) > now + LEEWAY_SECONDS:
        return (
            "By the clock of the login provider, your login begins in the future: sign out and in again. If that does"
            " not help, the clock of that server or of this one is wrong."
        )
    if now - issued > FRESH_SECONDS:
        return f"You signed in more than {FRESH_SECONDS / 3600:g} hours ago: sign out and in again to act."
    return ""


def _folded(address: str) -> str:
    """An address for comparison. It is folded only if it is ASCII: other letters that look alike would become equal."""
    return address.lower() if address.isascii() else address


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _has_claim(claims: Mapping[str, Any], wanted: tuple[str, str] | None) -> bool:
    if wanted is None:
        return False
    name, value = wanted
    found = claims.get(name)
    if found is None:
        # Some providers nest claims, for example realm_access.roles.
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return value in found if isinstance(found, (list, tuple)) else found == value


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
