# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the console: `python -m console sync`, the lists, maintenance, and `serve` for the pages.

`python -m console` works in the collection's folder, and `python /path/to/that/folder/console` works anywhere.
"""

import argparse
import contextlib
import io
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

if sys.version_info < (3, 11):
    sys.stderr.write(f"console: Python 3.11 or newer is required, but {sys.executable} is older.\n")
    sys.exit(2)
_FOLDER = Path(__file__).resolve().parent
if not __package__:
    # Started by its path: Python has put this folder on sys.path, where its modules would shadow others.
    sys.path[:] = [str(_FOLDER.parent), *(entry for entry in sys.path if Path(entry).resolve() != _FOLDER)]


def _report_package(error: ImportError) -> int:
    """Report a package that cannot be imported. If it is a module of the collection itself, raise the error again."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "console", "ansible_collections"):
        raise error
    sys.stderr.write(
        f"console: the Python package {package} is missing or too old ({error}). Install the console's requirements:"
        f" {shlex.quote(sys.executable)} -m pip install -r {shlex.quote(str(_FOLDER / 'requirements.txt'))}\n"
    )
    return 2


try:
    from console.cli import lists, maintenance, monitoring, notify, serve, sync
    from console.cli.options import OutputError, put, put_message, say
    from console.record.opening import DatabaseProblem
    from console.settings.environment import SettingsError, load_settings
    from console.settings.invocation import COMMAND
except ImportError as error:
    sys.exit(_report_package(error))
except KeyboardInterrupt:
    sys.exit(130)

# A path that is not UTF-8 is written as it is.
_UTF8: Any = {"encoding": "utf-8", "errors": "surrogateescape"}
PARTLY, USAGE, NO_DATABASE, INTERRUPTED, READER_ENDED = 1, 2, 3, 130, 141

_EXIT_CODES = """\
exit codes:
  0    success, or sync --follow was stopped by SIGTERM or Ctrl-C
  1    something could not be read (standard error says what; the rest is stored), or the output could not be written
  2    wrong usage or settings, and nothing was done; or sync --follow ended, for example because its key was refused
  3    the database cannot be used
       (check and notify have their own exit codes: see their --help)
  130  interrupted by Ctrl-C, SIGTERM or SIGHUP: everything that was stored before is kept, and the next sync continues
       from there
  141  the program that read standard output has ended

Settings come from the environment: FLEETOPS_CONSOLE_DB, FLEETOPS_RUN_LOG_DIR, FLEETOPS_API_URL, FLEETOPS_API_KEY,
FLEETOPS_VALIDATE_CERTS, FLEETOPS_CA_PATH, FLEETOPS_REQUEST_TIMEOUT, FLEETOPS_RETRIES, FLEETOPS_EXTRA_HEADERS,
FLEETOPS_CONSOLE_REMOVE_SPOOLS.
serve also reads FLEETOPS_CONSOLE_LOGIN, FLEETOPS_CONSOLE_ACTIONS, FLEETOPS_CONSOLE_OPERATORS,
FLEETOPS_CONSOLE_OPERATOR_CLAIM, FLEETOPS_CONSOLE_ISSUER. sync --follow and sync awx read FLEETOPS_AWX_URL,
FLEETOPS_AWX_TOKEN, FLEETOPS_AWX_CA_PATH. notify reads FLEETOPS_NOTIFY_RULES and the variables that the rules refer to.
"""


class _Parser(argparse.ArgumentParser):
    # What argparse writes itself raises OSError on a full disk with some versions of Python, and is lost with others.
    def error(self, message: str) -> NoReturn:
        put_message(f"{self.prog}: {message}; see {self.prog} --help\n")
        self.exit(USAGE)

    def print_help(self, file: Any = None) -> None:
        put(self.format_help(), file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. If the reader of standard output has ended, report nothing."""
    _replace_closed_streams()
    try:
        with _warnings_on_stderr():
            return _run(arguments)
    except BrokenPipeError:
        return READER_ENDED
    except OutputError as error:
        return say(error, PARTLY)
    finally:
        _discard_unwritten(sys.stdout, sys.stderr)


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(database=options.db, run_log_dir=getattr(options, "spool", None))
        return int(options.run(options, settings))
    except SettingsError as error:
        return say(error, USAGE)
    except DatabaseProblem as error:
        return say(error, NO_DATABASE)
    except ImportError as error:
        return _report_package(error)
    except KeyboardInterrupt:
        return say("Interrupted. What was stored before is kept; run the same command again to finish.", INTERRUPTED)


def _replace_closed_streams() -> None:
    """Open /dev/null for each standard stream that is closed: a supervisor may start a daemon without them.

    Otherwise a file that is opened later would get the descriptor of standard output, and the output with it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # It gets the lowest free descriptor. The processes that a command starts inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False, **_UTF8))


def _discard_unwritten(*streams: TextIO) -> None:
    """Discard what cannot be written, so that Python does not report an error at exit."""
    for stream in streams:
        try:
            stream.flush()
        except OSError:
            with Path(os.devnull).open("wb") as devnull:
                os.dup2(devnull.fileno(), stream.fileno())


class _WarningsHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), 0)


@contextlib.contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Write the warnings that the console logs to standard error, in the format of its other messages."""
    handler, log = _WarningsHandler(logging.WARNING), logging.getLogger("console")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=COMMAND,
        description="Fills the console's database from run logs and the API, and serves its pages.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=_Parser)

    sync.register(commands, _Parser)
    serve.register(commands)
    lists.register(commands)
    monitoring.register(commands)
    notify.register(commands)
    maintenance.register(commands)
    return parser


if __name__ == "__main__":
    for _number in (signal.SIGTERM, signal.SIGHUP):
        # As with Ctrl-C, so that no file of an unfinished copy is left. nohup ignores SIGHUP.
        if signal.getsignal(_number) is signal.SIG_DFL:
            signal.signal(_number, signal.default_int_handler)
    # In every locale, because the programs that read JSON and metrics expect it.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(**_UTF8)
    sys.exit(main())
