# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The collection's own files: the folders for them, and replacing one."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str], name: str) -> Path:
    """``$XDG_STATE_HOME/fleetops/NAME``, with ~/.local/state if XDG_STATE_HOME is missing or a relative path.

    Without HOME, the home directory is that of the account. Raises RuntimeError if there is none.
    """
    given, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "").strip()
    try:
        base = Path(given) if given.startswith("/") else (Path(home) if home else Path.home()) / ".local" / "state"
    except RuntimeError as problem:
        raise RuntimeError("there is no home directory, and XDG_STATE_HOME is not an absolute path") from problem
    return base / "fleetops" / name


def make_private(folder: Path) -> None:
    """Create ``folder`` and its missing parents, each with mode 0700 whatever the umask is. Raises OSError.

    Existing folders are not changed.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:  # Another process was faster.
            continue
        path.chmod(0o700)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def replace_text(path: Path, text: str, part: str = ".new", *, flush: bool = False) -> None:
    """Replace a file, with mode 0600, so that a reader sees either the old or the new text. Raises OSError.

    ``part``: what is appended to its name while it is written; processes that may write it at once have different ones.
    ``flush``: also write it to the disk before it replaces the old one.
    """
    beside = path.with_name(path.name + part)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
