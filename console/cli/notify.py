# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command notify with notify test, and the parts of it that sync --notify uses."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.cli.options import Options, command, flag, format_option, not_blank, put, repeated, say
from console.settings.environment import Settings, SettingsError, path_of
from console.text.counts import counted
from console.text.listing import as_json

if TYPE_CHECKING:
    from console.notifications.message import Message
    from console.notifications.notify import NotifyReport
    from console.notifications.rules import Rules

VARIABLE = "FLEETOPS_NOTIFY_RULES"

_CODES = f"""\
exit codes:
  0    all messages that were due were sent, or none was due
  1    another process is sending, or a message could not be sent (the next notify tries again, for up to a day)
  2    wrong usage, rules or settings; nothing was sent
  3    the database cannot be used

The rules are in a TOML file, given by --rules or {VARIABLE}. Without rules, the console sends no notifications.
"""


def register(commands: Any) -> None:
    notify = command(
        commands,
        "notify",
        _notify,
        "send notifications according to the rules in a file",
        description="Sends the notifications that the rules request and that have not been sent yet, one message for"
        " each operation or cause. Run it after sync, from cron or a timer.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rules_option(notify)
    notify.add_argument("what", nargs="?", choices=("test",), help="send a test message to each destination")
    repeated(notify, "--to", "with test: send only to this destination", metavar="NAME")
    flag(notify, "--dry-run", "show what would be sent, but send and record nothing")
    format_option(notify, ("text", "json"), " of --dry-run")


def rules_option(parser: Options) -> None:
    parser.add_argument("--rules", type=not_blank, metavar="FILE", help=f"file with the rules (default: {VARIABLE})")


def load_rules(named: str | None) -> Rules:
    """Load the rules from the given file, or from the one in the environment. Raises SettingsError."""
    from console.notifications.rules import RulesError, parse

    path = named or os.environ.get(VARIABLE, "").strip()
    if not path:
        raise SettingsError(f"{VARIABLE} is not set: set it to the file with the rules, or use --rules.")
    try:
        # A pipe is read too, since the rules may be the output of a program that decrypts them.
        return parse(path_of(path).read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"The rules file {path} cannot be read: {error.strerror or error}.") from error
    except (RulesError, UnicodeDecodeError) as error:
        raise SettingsError(f"The rules file {path} cannot be used: {str(error).rstrip('.')}.") from error


def notifier(named: str | None) -> Callable[..., NotifyReport]:
    """A function that runs ``notify_once`` with the rules of a file. It takes the database's path and ``before_each``.

    The rules and the addresses are read only once. Raises SettingsError.
    """
    from console.notifications.notify import notify_once
    from console.notifications.send import load_addresses, sender

    rules = load_rules(named)
    send = sender(load_addresses(rules.destinations.values()))
    return lambda database, **more: notify_once(database, rules, time.time(), send, **more)


def _notify(options: argparse.Namespace, settings: Settings) -> int:
    if options.to and options.what != "test":
        raise SettingsError("--to works only with notify test; otherwise the rules select the destinations.")
    if options.what == "test":
        return _test(options, load_rules(options.rules))
    if options.dry_run:
        return _dry_run(options, settings, load_rules(options.rules))
    report = notifier(options.rules)(settings.database)
    put(f"{settings.database}: {report.summary}.\n")
    for sentence in report.problems:
        say(sentence, 1)
    return 1 if report.problems or report.is_busy else 0


def _dry_run(options: argparse.Namespace, settings: Settings, rules: Rules) -> int:
    from console.notifications.notify import due_now

    found, messages = due_now(settings.database, rules, time.time())
    _show(options, messages)
    if found.quiet:
        say(f"note: {counted(found.quiet, 'further message')} held back until the quiet hours end.", 0)
    if found.paused:
        say(f"note: {counted(found.paused, 'further message')} could not be sent and will be tried again.", 0)
    return say(f"{counted(len(messages), 'message')} would be sent; nothing was sent.", 0)


def _test(options: argparse.Namespace, rules: Rules) -> int:
    from console.notifications.message import test_message
    from console.notifications.send import NotSent, load_addresses, sender

    for name in options.to:
        if name not in rules.destinations:
            raise SettingsError(f"The rules have no destination {name!r}, only: {', '.join(rules.destinations)}.")
    names = list(dict.fromkeys(options.to)) or list(rules.destinations)
    messages = [(name, test_message(name, rules.console_url, time.time())) for name in names]
    if options.dry_run:
        _show(options, messages)
        return say(f"{counted(len(messages), 'message')} would be sent; nothing was sent.", 0)
    send = sender(load_addresses([rules.destinations[name] for name in names]))
    failed = 0
    for name, content in messages:
        try:
            send(name, content)
        except NotSent as error:
            failed = say(f"{name}: the test message was not sent. {error}", 1)
        else:
            put(f"{name}: sent.\n")
    return failed


def _show(options: argparse.Namespace, messages: list[tuple[str, Message]]) -> None:
    if options.format == "json":
        put(as_json([vars(content) for _name, content in messages]))
    else:
        put("\n".join(f"To {name}: {content.title}\n{printable(content.text)}\n" for name, content in messages))
