# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Replacing a file so that it always contains the complete old or new text, even if the process is killed."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .._rules.printable import printable_line
from .state_folder import make_private

# A temporary file that is older than this (seconds) was left behind by a process that was killed.
_ABANDONED = 3600.0
_PART = ".part"
# Ansible replaces these in an option of the type path, unless the user or the variable is unknown.
_HOME = re.compile(r"~[^/]*")
_VARIABLE = re.compile(r"(?:^|(?<=/))\$(?:[A-Za-z_]\w*|\{[^}/]*\})")


class FileError(Exception):
    """The file cannot be written. The message says which file and why."""


def absolute_path(given: str) -> Path:
    """The absolute path for a module's option of the type path.

    Raises FileError for the home of an unknown user, for an environment variable that is not set, and for a control
    character, such as the line break at the end of an answer to a survey. Otherwise a folder with such a name would be
    created, and nobody would look for the file there.
    """
    shown = printable_line(given)
    if shown != given:
        raise FileError(f"The path {shown} cannot be used: it contains a line break or another control character")
    for pattern, what in ((_HOME.match, "the home of a user"), (_VARIABLE.search, "an environment variable")):
        if found := pattern(given):
            raise FileError(
                f"The path {given} cannot be used: {found[0]} is not {what} on this machine. Write the complete path"
            )
    return Path(given).absolute()


def refuse_special(path: Path) -> None:
    """Raise OSError for a device, a pipe or a socket, which cannot be replaced and may be endless to read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket", str(path))


def refuse_unwritable(path: Path) -> None:
    """Raise FileError if ``replace_file`` would fail, as far as that can be known without writing. For check mode."""
    try:
        refuse_special(path)
        path = Path(os.path.realpath(path))
        folder = next(one for one in path.parents if one.exists())
        if path.is_dir() or not folder.is_dir():
            number = errno.EISDIR if path.is_dir() else errno.ENOTDIR
            raise OSError(number, os.strerror(number))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


def is_current(path: Path, text: str) -> bool:
    """Whether the file already has this text and the mode 0600."""
    try:
        return path.stat().st_mode == stat.S_IFREG | 0o600 and path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def size_of(path: Path) -> int | None:
    """The size of the file in bytes; None if there is none that can be read."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def replace_file(path: Path, text: str, check: Callable[[Path], object] | None = None) -> None:
    """Replace the file with one that has this text, or leave it unchanged.

    The text is written to a temporary file beside it, flushed to the disk and read again, before that file is renamed.
    Missing folders are created with mode 0700, and the file has mode 0600. ``check(path)`` is called before the file is
    renamed, while no other process renames one in this folder, and raises if it must not. Raises FileError.
    """
    started: Path | None = None
    try:
        # Before the link is resolved: Linux does not let users follow the links of others in a folder such as /tmp.
        refuse_special(path)
        path = Path(os.path.realpath(path))
        make_private(path.parent)
        _remove_abandoned(path)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent)
        started = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if started.read_text(encoding="utf-8") != text:
            raise FileError(f"{started} does not contain what was written to it. {path} was not changed")
        with _locked(path.parent):
            if check is not None:
                check(path)
            started.replace(path)
            started = None
        _flush_folder(path.parent)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error
    finally:
        if started is not None:
            started.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError | ValueError) -> FileError:
    """The error for a file that cannot be written. A path with a null character is a ValueError."""
    why = getattr(error, "strerror", None) or error
    return FileError(f"The file {path} cannot be written, so it was not changed: {why}")


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_PART}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes in this block, if its file system supports that."""
    with ExitStack() as lock:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            lock.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _flush_folder(folder: Path) -> None:
    """Flush the folder to the disk, so that the new name survives a power failure, if the file system supports that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
