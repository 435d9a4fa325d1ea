# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text file that another program may read at any moment, as node_exporter's textfile collector does."""

from __future__ import annotations

import tempfile
from pathlib import Path

from console.settings.environment import SettingsError


def write_textfile(file: Path, text: str, mode: int = 0o644) -> None:
    """Write the whole file or nothing. ``mode``: the exporter runs under another account. Raises SettingsError."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as stream:
            written = Path(stream.name)
            try:
                stream.write(text)
                stream.flush()
                written.chmod(mode)
                written.replace(file)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SettingsError(f"The textfile {file} cannot be written: {error.strerror or error}.") from error
