# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete login file."""

from __future__ import annotations

from pathlib import Path

SECRET = "never-told-" + "x" * 40


GOOD = {
    "redirect_uri": "https://console.example.com/oauth2callback",
    "cookie_secret": SECRET,
    "client_id": "console",
    "client_secret": SECRET,
    "server_metadata_url": "https://id.example.com/.well-known/openid-configuration",
}


def written(path: Path, mode: int = 0o600, **changes: str | None) -> Path:
    values = {name: value for name, value in (GOOD | changes).items() if value is not None}
    path.write_text("[auth]\n" + "".join(f'{name} = "{value}"\n' for name, value in values.items()))
    path.chmod(mode)
    return path
