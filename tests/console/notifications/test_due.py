# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which notifications are due: rules, facts and the ledger as plain data, and the resulting messages."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.notifications.due import MAX_SINGLE, Plan, in_quiet_hours, plan
from console.notifications.facts import DRIFT, OPERATIONS, POLICY, STUCK, SUBJECTS, Fact
from console.notifications.message import message
from console.notifications.rules import Rules, RulesError, parse
from console.outcomes.words import VERDICTS
from console.record.rows import FAILED, GAVE_UP, SENDING, SENT, Notification
from tests.console.support.served import CHECKOUT

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
TO = """
console_url = "https://console.example.com/"
[to.chat]
kind = "apprise"
address_env = "CHAT"
[to.hook]
kind = "webhook"
address_env = "HOOK"
secret_env = "HOOK_KEY"
"""
WITHOUT_URL = "".join(TO.splitlines(keepends=True)[2:])
RULE = '[[rule]]\non = "stuck"\nto = "chat"'
NIGHT = '[quiet]\nfrom = "22:00"\nuntil = "06:00"\n'
STOPPED = Fact(
    OPERATIONS, "run 1", "stopped", NOW - 60, "rolling_redeploy to 2.4.0: stopped", "Stopped: 1 failed.",
    ("1 failed (agent-007): no disk",), {"failed": 1, "updated": 6},
    {"failed": ("agent-007",), "updated": ("agent-1",)}, "run", "1", "rolling_redeploy",
)  # fmt: skip


def rules(rule: str, top: str = "") -> Rules:
    return parse(top + TO + "[[rule]]\n" + rule)


def due(found: Plan) -> list[tuple[str, str]]:
    return [(one.destination, fact.title) for one in found.due for fact in one.facts]


def notification(fact: Fact, outcome: str, **more: object) -> Notification:
    row = Notification("chat", *fact.identity, fact.at, fact.title, NOW - 30, outcome, 1, 0, NOW - 30, NOW - 29)
    return replace(row, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ('on = "operations"', True),
        ('on = ["stuck", "operations"]', True),
        ('on = "stuck"', False),
        ('on = "operations"\nverdicts = "stopped"', True),
        ('on = "operations"\nverdicts = ["complete", "lost"]', False),
        ('on = "operations"\noutcomes = ["uncertain", "failed"]', True),
        ('on = "operations"\noutcomes = "uncertain"', False),
        ('on = "operations"\noperations = ["reboot", "rolling_*"]', True),
        ('on = "operations"\noperations = "reboot"', False),
        ('on = "operations"\ninstances = "agent-00*"', True),
        ('on = "operations"\ninstances = "agent-1"', True),
        ('on = "operations"\ninstances = "agent-1"\noutcomes = "failed"', False),
        ('on = "operations"\ninstances = "agent-2*"', False),
    ],
)
def test_a_rule_sends_the_facts_that_it_selects(rule: str, matches: bool) -> None:
    found = plan(rules(f'{rule}\nto = "chat"'), [STOPPED], [], NOW)
    assert due(found) == ([("chat", STOPPED.title)] if matches else [])


@pytest.mark.parametrize("verdict", ["running", "check"])
def test_operations_under_way_and_in_check_mode_are_sent_only_if_a_rule_requests_it(verdict: str) -> None:
    fact = replace(STOPPED, state=verdict)
    assert not plan(rules('on = "operations"\nto = "chat"'), [fact], [], NOW).due
    assert plan(rules(f'on = "operations"\nto = "chat"\nverdicts = "{verdict}"'), [fact], [], NOW).due


def test_two_rules_for_one_destination_send_one_message_and_the_urgent_one_wins() -> None:
    # 12:00 UTC is 13:00 in Berlin.
    quiet = '[quiet]\nfrom = "12:30"\nuntil = "14:00"\ntimezone = "Europe/Berlin"\n'
    calm = 'on = "operations"\nto = ["chat", "hook"]\n'
    assert due(plan(parse(TO + quiet + "[[rule]]\n" + calm), [STOPPED], [], NOW)) == []
    assert plan(parse(TO + quiet + "[[rule]]\n" + calm), [STOPPED], [], NOW).quiet == 2
    both = parse(
        f'{TO}{quiet}[[rule]]\n{calm}[[rule]]\non = "operations"\noutcomes = "failed"\nto = "hook"\nurgent = true'
    )
    found = plan(both, [STOPPED], [], NOW)
    assert due(found) == [("hook", STOPPED.title)] and found.quiet == 1
    # After the quiet hours, the delayed facts are sent.
    assert due(plan(both, [STOPPED], [], NOW + 3600)) == [("chat", STOPPED.title), ("hook", STOPPED.title)]


@pytest.mark.parametrize(
    ("start", "until", "hour", "is_quiet"),
    [("22:00", "06:00", 23, True), ("22:00", "06:00", 5, True), ("22:00", "06:00", 6, False),
     ("22:00", "06:00", 12, False), ("08:00", "09:00", 8, True), ("08:00", "09:00", 9, False)],
)  # fmt: skip
def test_quiet_hours_may_span_midnight(start: str, until: str, hour: int, is_quiet: bool) -> None:
    found = parse(f'{TO}[quiet]\nfrom = "{start}"\nuntil = "{until}"\n[[rule]]\non = "stuck"\nto = "chat"').quiet
    assert found is not None
    assert in_quiet_hours(found, (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour)).timestamp()) is is_quiet


@pytest.mark.parametrize(
    ("row", "is_due", "repeated", "gives_up"),
    [
        (notification(STOPPED, SENT), False, False, False),
        (notification(STOPPED, GAVE_UP), False, False, False),
        (notification(STOPPED, SENT, state="lost"), True, False, False),
        # Killed between sending and recording: sent once more, and then not again.
        (notification(STOPPED, SENDING, ended_at=None), True, True, False),
        (notification(STOPPED, SENDING, interrupted=1, attempts=2), False, False, True),
        # Refused: retried after one minute, then two, for a day.
        (notification(STOPPED, FAILED), False, False, False),
        (notification(STOPPED, FAILED, begun_at=NOW - 61), True, True, False),
        (notification(STOPPED, FAILED, begun_at=NOW - 61, attempts=2), False, False, False),
        (notification(STOPPED, FAILED, begun_at=NOW - 121, attempts=2), True, True, False),
        (notification(STOPPED, FAILED, begun_at=NOW - 3601, attempts=40), True, True, False),
        (notification(STOPPED, FAILED, begun_at=NOW - 3601, since=NOW - 86401), False, False, True),
    ],
)
def test_a_fact_is_sent_once_and_retried_after_a_failure(
    row: Notification, is_due: bool, repeated: bool, gives_up: bool
) -> None:
    found = plan(rules('on = "operations"\nto = "chat"'), [STOPPED], [row], NOW)
    assert [one.repeated for one in found.due] == ([repeated] if is_due else [])
    assert bool(found.give_up) is gives_up
    for one in found.due:
        repeated_message = message(one, "")
        assert repeated_message.text.startswith("Repeated: ") is repeated is repeated_message.repeated
        first = replace(one, repeated=False, since=row.since if repeated else NOW)
        assert repeated_message.id == message(first, "").id


def test_an_operation_that_ended_long_ago_is_sent_only_if_its_delivery_had_started() -> None:
    old = replace(STOPPED, at=NOW - 90_000)
    asked = rules('on = "operations"\nto = "chat"')
    assert not plan(asked, [old], [], NOW).due
    assert plan(asked, [old], [notification(old, FAILED, begun_at=NOW - 4000)], NOW).due
    assert plan(rules('on = "operations"\nto = "chat"', 'max_age = "2d"\n'), [old], [], NOW).due


def test_a_condition_is_sent_once_and_again_when_it_returns() -> None:
    asked = rules('on = ["stuck", "drift"]\nto = "chat"')
    stuck = Fact(STUCK, "rollout", "", NOW - 90_000, "3 instances: in progress for 2 h", "It may be stuck.")
    row = notification(stuck, SENT)
    assert len(plan(asked, [stuck], [], NOW).due) == 1
    assert plan(asked, [stuck], [row], NOW) == Plan()
    assert plan(asked, [], [row], NOW) == Plan(over=(row,))
    # A delayed condition is neither sent nor counted as over.
    drift = Fact(DRIFT, "tenant 2.5.0", "", None, "4 instances run another", "", is_held=True)
    assert plan(asked, [drift], [notification(drift, SENT), row], NOW) == Plan(over=(row,))
    assert plan(asked, [drift], [], NOW) == Plan()
    over = replace(row, over_at=NOW - 10)
    assert plan(asked, [], [over], NOW) == Plan()
    (again,) = plan(asked, [stuck], [over], NOW).due
    assert not again.repeated and again.since == NOW
    # A condition without a matching rule does not count as over.
    assert plan(rules('on = "operations"\nto = "chat"'), [], [row], NOW) == Plan()


def test_a_rule_can_select_policy_changes_outside_the_window() -> None:
    inside = Fact(POLICY, "tenant 1", "", NOW, "The update policy was changed: skills_default", "")
    asked = rules('on = "policy"\nto = "chat"\noutside_window = true')
    assert not plan(asked, [inside], [], NOW).due
    assert plan(asked, [replace(inside, outside_window=True)], [], NOW).due


def test_many_facts_are_combined_into_one_message() -> None:
    facts = [replace(STOPPED, key=f"run {number}", title=f"reboot {number}: stopped") for number in range(40)]
    asked = rules('on = "operations"\nto = "chat"')
    assert len(plan(asked, facts[:MAX_SINGLE], [], NOW).due) == MAX_SINGLE
    (one,) = plan(asked, facts, [], NOW).due
    combined_message = message(one, asked.console_url)
    assert combined_message.title == "40 notifications" and len(combined_message.facts) == 40
    assert "reboot 19: stopped\nAnd 20 more.\nhttps://console.example.com" in combined_message.text
    assert "reboot 20: stopped" not in combined_message.text


def test_a_combined_message_has_the_same_id_again_only_with_the_same_facts() -> None:
    facts = [replace(STOPPED, key=f"run {number}") for number in range(20)]
    ledger = [notification(fact, FAILED, begun_at=NOW - 61) for fact in facts[:19]]
    asked = rules('on = "operations"\nto = "chat"')
    first, other_order, more = (
        message(plan(asked, found, ledger, NOW).due[0], "") for found in (facts[:19], facts[18::-1], facts)
    )
    assert first.id == other_order.id != more.id
    assert first.repeated and more.repeated


def test_a_message_has_the_verdict_the_causes_and_a_link_and_mentions_nobody_by_accident() -> None:
    hostile = replace(STOPPED, details=("1 failed (a): <!channel> @everyone\n\x1b[2Jok\u202e",), id="a b/../c?x=1")
    asked = rules('on = "operations"\nto = "chat"')
    (one,) = plan(asked, [hostile], [], NOW).due
    found = message(one, asked.console_url)
    assert found.title == "rolling_redeploy to 2.4.0: stopped"
    assert found.text.splitlines() == [
        "Stopped: 1 failed.",
        "1 failed (a): <\u200b!channel> @\u200beveryone\\n\\x1b[2Jok\\u202e",
        "https://console.example.com/run?id=a%20b%2F..%2Fc%3Fx%3D1",
    ]
    long = replace(one, facts=(replace(STOPPED, sentence="x" * 9000, details=("y" * 9000,) * 6),))
    assert len(message(long, asked.console_url).text) < 3000
    assert message(one, "").text.splitlines()[-1].startswith("1 failed")


def test_a_text_of_the_server_shows_no_image_in_a_chat_and_no_link_under_another_name() -> None:
    told = (
        "![i](https://203.0.113.9/i) [all is well](https://203.0.113.9) <https://203.0.113.9|all is well> 2 < 3 [x] (y)"
    )
    (one,) = plan(rules('on = "operations"\nto = "chat"'), [replace(STOPPED, title=told, sentence=told)], [], NOW).due
    found = message(one, "")
    for text in (found.title, found.text.splitlines()[0], found.facts[0]["title"], found.facts[0]["sentence"]):
        assert "](" not in text and "<h" not in text
        assert text.replace("\u200b", "") == told
    assert "2 < 3 [x] (y)" in found.title


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("to = [", "it is not valid TOML"),
        ("to = " + "[" * 5000, "it is not valid TOML"),
        ("max_age = " + "9" * 5000, "it is not valid TOML"),
        ("", "it has no destinations"),
        (TO, "it has no rule"),
        (TO + '[[rule]]\non = "operation"\nto = "chat"', "rule 1: on is 'operation'; it must be one of: operations,"),
        (TO + '[[rule]]\non = "operation"\nto = "chat"', "(did you mean operations?)"),
        (TO + '[[rule]]\non = "stuck"', "rule 1: to is missing; possible values: chat, hook"),
        (TO + '[[rule]]\non = "stuck"\nto = "mail"', "rule 1: to is 'mail'; it must be one of: chat, hook"),
        (TO + '[[rule]]\nname = "Night"\non = "stuck"\nto = "chat"\nverdict = "lost"', "(Night) has the unknown key"),
        (TO + '[[rule]]\non = "stuck"\nto = "chat"\nverdicts = "lost"', "verdicts is only for operations"),
        (TO + '[[rule]]\non = "stuck"\nto = "chat"\noutside_window = true', "outside_window is only for the policy"),
        (TO + '[[rule]]\non = "operations"\nto = "chat"\nverdicts = []', "verdicts is empty"),
        (TO + '[[rule]]\non = "operations"\nto = "chat"\nurgent = "yes"', "urgent must be true or false"),
        ('[to.a]\nkind = "mail"\naddress_env = "A"', "[to.a]: kind is 'mail'; it must be one of: apprise, webhook"),
        ('[to.a]\nkind = "apprise"\naddress_env = "slack://hush/hush"', "must be the name of an environment variable"),
        ('[to.a]\nkind = "webhook"\naddress_env = "A"', "a webhook needs secret_env"),
        ('[to.a]\nkind = "apprise"\naddress_env = "A"\nsecret_env = "B"', "secret_env is only for webhooks"),
        ('[to.a]\nkind = "apprise"\naddress_env = "A"\nca_path = "/b"', "ca_path is only for webhooks"),
        ('[to.a]\nkind = "apprise"\naddress = "A"', "[to.a] has the unknown key 'address'"),
        ('console_url = "console"\n' + WITHOUT_URL + RULE, "console_url must be just the"),
        ('console_url = "https://u:hush@console.example"\n' + WITHOUT_URL + RULE, "console_url must be just the"),
        ('max_age = "8d"' + TO + RULE, "max_age must be a time of at most 7d"),
        (TO + '[quiet]\nfrom = "22"\nuntil = "06:00"\n' + RULE, "from must be a time of day"),
        (TO + '[quiet]\nfrom = "06:00"\nuntil = "06:00"\n' + RULE, "are the same"),
        (TO + NIGHT + 'timezone = "Mars"\n' + RULE, "'Mars' is not in"),
        ('max_age = "7h"' + TO + NIGHT + RULE, "would never be sent"),
    ],
)  # fmt: skip
def test_invalid_rules_are_refused_in_a_sentence_without_a_secret(text: str, message: str) -> None:
    with pytest.raises(RulesError) as refused:
        parse(text)
    assert message in str(refused.value)
    assert "hush" not in str(refused.value) and "\n" not in str(refused.value)


def test_the_documented_rules_are_valid() -> None:
    example = (CHECKOUT / "extensions/monitoring/notifications.toml").read_text(encoding="utf-8")
    assert parse(example).subjects == set(SUBJECTS)
    page = (CHECKOUT / "docs/docsite/rst/notifications.rst").read_text(encoding="utf-8")
    block = page.split(".. code-block:: toml\n")[1].split("\n``extensions")[0]
    assert parse(textwrap.dedent(block)).subjects == {"operations", "stuck", "stale"}
    assert all(f"``{word}``" in page for word in (*SUBJECTS, *VERDICTS))
