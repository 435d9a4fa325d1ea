# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One message about one or more facts: a title, a text for people, and the facts for programs. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import shortened
from console.notifications.due import Due
from console.notifications.facts import Fact

LONGEST_TITLE, LONGEST_SENTENCE, LONGEST_LINE = 200, 700, 300
FACTS_NAMED = 20
REPEATED = "Repeated: an earlier attempt to send this message did not succeed, but it may have arrived."

# Mentions, such as @everyone and <!here>, with which chat programs notify all members of a channel, and images and
# links with a text of their own: ![text](https://...), [text](https://...) and <https://...|text>.
_MARKUP = re.compile(r"@(?=(?:everyone|here|channel|all)\b)|<(?=[@!#]|[a-z]+:)|\](?=\()", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True)
class Message:
    """One message; a webhook gets these fields as JSON. id: the same in each attempt with the same facts."""

    id: str
    destination: str
    repeated: bool
    title: str
    text: str
    facts: Sequence[Mapping[str, Any]]


def message(due: Due, console_url: str) -> Message:
    """The message about facts that are due. ``console_url``: the address of the console, '' for no links."""
    facts = due.facts
    title = _one_line(facts[0].title if len(facts) == 1 else f"{len(facts):,} notifications", LONGEST_TITLE)
    lines = _lines_of_fact(facts[0], console_url) if len(facts) == 1 else _lines_of_facts(facts, console_url)
    text = "\n".join([REPEATED, *lines] if due.repeated else lines)
    documents = [_document_of_fact(fact, console_url) for fact in facts]
    # Other facts need another id. Otherwise the receiver could mistake a new fact for one that it knows.
    parts = [due.destination, f"{due.since:.3f}", *sorted("\0".join(fact.identity) for fact in facts)]
    return Message(_identifier("\n".join(parts)), due.destination, due.repeated, title, text, documents)


def test_message(destination: str, console_url: str, now: float) -> Message:
    title, text = "Test of the fleet notifications", "This destination works. Nothing has happened to the fleet."
    identifier = _identifier(f"test {destination} {now}")
    return Message(identifier, destination, False, title, f"{text}\n{console_url}".strip(), [])


def _identifier(identity: str) -> str:
    """A hash with 32 hexadecimal digits."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


def link(fact: Fact, console_url: str) -> str:
    """The address of the console's page about a fact, '' if ``console_url`` is empty."""
    if not console_url:
        return ""
    # The id of a fact about the list of instances is a health status.
    parameter = "instances_health" if fact.page == "instances" else "id"
    query = f"?{parameter}={quote(fact.id, safe='')}" if fact.id else ""
    return f"{console_url}/{fact.page}{query}"


def _lines_of_fact(fact: Fact, console_url: str) -> list[str]:
    lines = [_one_line(fact.sentence, LONGEST_SENTENCE), *(_one_line(line, LONGEST_LINE) for line in fact.details)]
    return [line for line in [*lines, link(fact, console_url)] if line]


def _lines_of_facts(facts: Sequence[Fact], console_url: str) -> list[str]:
    lines = [_one_line(fact.title, LONGEST_TITLE) for fact in facts[:FACTS_NAMED]]
    more = len(facts) - FACTS_NAMED
    return [*lines, *([f"And {more:,} more."] if more > 0 else []), *([console_url] if console_url else [])]


def _document_of_fact(fact: Fact, console_url: str) -> dict[str, Any]:
    return {
        "subject": fact.subject,
        "key": fact.key,
        "state": fact.state,
        "at": iso_time(fact.at),
        "title": _one_line(fact.title, LONGEST_TITLE),
        "sentence": _one_line(fact.sentence, LONGEST_SENTENCE),
        "details": [_one_line(line, LONGEST_LINE) for line in fact.details],
        "counts": dict(fact.counts),
        "link": link(fact, console_url),
    }


def _one_line(text: str, longest: int) -> str:
    """One printable line of at most ``longest`` characters, without effective mentions, images and named links."""
    plain = _MARKUP.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, printable_line(text))
    return shortened(plain, longest)
