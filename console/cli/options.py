# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the commands: options with their checks, output, and messages on standard error."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.collect.progress import Progress, TerminalProgress, silent
from console.text.listing import FORMATS

Options = argparse._ActionsContainer
"""A parser or an argument group, to which an option is added."""

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DATABASE = "the database (default: FLEETOPS_CONSOLE_DB, or ~/.local/state/fleetops/console.db)"
_SIZES = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}


class OutputError(Exception):
    """Standard output cannot be written, for example on a full disk. The message is one sentence for people."""


def put(text: str, stream: TextIO | None = None) -> None:
    """Write to standard output or ``stream``. Raises OutputError, and BrokenPipeError when the reader has ended."""
    try:
        print(text, end="", file=stream, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"The output cannot be written: {error.strerror or error}.") from error


def put_message(text: str) -> None:
    """Write to standard error. A message is lost if the disk is full or the reader has ended; the command continues."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def say(sentence: object, code: int) -> int:
    """Write one sentence to standard error, and return ``code``."""
    put_message(f"console: {printable(str(sentence))}\n")
    return code


def command(commands: Any, name: str, run: Callable[..., int], what: str, **more: Any) -> argparse.ArgumentParser:
    """Add a command with the option --db. ``run`` is called with the options and the settings. ``what``: the help text.
    ``more``: further arguments of ``add_parser``."""
    texts = {"help": what, "description": f"{what[0].upper()}{what[1:]}.", **more}
    parser: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False, **texts)
    parser.set_defaults(run=run)
    parser.add_argument("--db", type=not_blank, metavar="FILE", help=_DATABASE)
    return parser


def option(parser: Options, name: str, kind: Callable[[str], Any], default: Any, metavar: str, what: str) -> None:
    """Add an option whose value ``kind`` converts. Its help is ``what`` followed by the default."""
    parser.add_argument(name, type=kind, default=default, metavar=metavar, help=f"{what} (default: %(default)s)")


def flag(parser: Options, name: str, what: str) -> None:
    """Add an option without a value."""
    parser.add_argument(name, action="store_true", help=what)


def repeated(parser: Options, name: str, what: str, **more: Any) -> None:
    """Add an option that may be given several times; its value is a list of texts."""
    parser.add_argument(name, action="append", default=[], help=what, **more)


def run_log_option(parser: argparse.ArgumentParser) -> None:
    what = "folder of the run logs (default: FLEETOPS_RUN_LOG_DIR, or ~/.local/state/fleetops/runs)"
    parser.add_argument("--spool", type=not_blank, metavar="DIR", help=what)


def format_option(parser: argparse.ArgumentParser, choices: Sequence[str] = FORMATS, of: str = "") -> None:
    """Add --format; the first choice is the default. ``of``: what it formats, if that is not all of the output."""
    text = f"output format{of} (default: %(default)s)"
    parser.add_argument("--format", choices=choices, default=choices[0], help=text)


def days_option(parser: argparse.ArgumentParser, of: str) -> None:
    """Add --days. ``of``: what the days limit."""
    parser.add_argument("--days", type=at_least_one, metavar="N", help=f"only {of} of the last N days (default: all)")


def list_options(parser: argparse.ArgumentParser) -> None:
    format_option(parser)
    option(parser, "--limit", at_least_one, 20, "N", "show at most N rows")


@contextmanager
def progress_line(quiet: bool) -> Iterator[Progress]:
    """Show progress on one line of standard error; none if ``quiet``."""
    with closing(TerminalProgress(sys.stderr)) as line:
        yield silent if quiet else line


def put_report(database: Path, report: Any) -> int:
    """Write the summary, notes and problems of a sync or an import, and return the exit code."""
    put(f"{database}: {report.summary}.\n")
    for note in report.notes:
        say(f"note: {note}", 0)
    for problem in report.problems:
        say(problem, 1)
    return int(bool(report.problems))


def not_blank(text: str) -> str:
    """A path or a name. A blank one, such as a variable of a script that is not set, would count as not given."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be blank")
    return text


def at_least_one(text: str) -> int:
    if not _is_count(text):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 999999999; it is {text!r}")
    return int(text)


def days(text: str) -> int | None:
    """A whole number of days, or None for "never"."""
    if text == "never":
        return None
    if not _is_count(text):
        raise argparse.ArgumentTypeError(f"must be 'never' or a whole number of days, 1 or more; it is {text!r}")
    return int(text)


def _is_count(text: str) -> bool:
    # SQLite integers have at most 64 bits, and Python refuses to convert texts of thousands of digits.
    return text.isdecimal() and len(text) <= 9 and int(text) >= 1


def duration(text: str) -> float:
    """The seconds in a number with the unit s, min, h or d."""
    return _measure(text, _UNITS, "a time such as 90s, 10min, 24h or 3d")


def measure(text: str, unit: str) -> float:
    """The value of ``text`` in ``unit``: seconds, bytes or count."""
    if unit == "seconds":
        return duration(text)
    if unit == "bytes":
        return _measure(text, _SIZES, "a size such as 512KiB or 10MiB")
    return float(at_least_one(text))


def _measure(text: str, units: dict[str, float], expected: str) -> float:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    if found is None or found[2] not in units:
        raise argparse.ArgumentTypeError(f"must be {expected}; it is {text!r}")
    return float(found[1]) * units[found[2]]
