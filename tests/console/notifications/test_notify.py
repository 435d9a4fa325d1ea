# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications as received by a real mail server and a real webhook, and what is recorded."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.__main__ import main
from console.collect.api.records import policy_row
from console.notifications import read_facts
from console.notifications.facts import SUBJECTS
from console.notifications.message import link
from console.notifications.notify import notify_once
from console.notifications.rules import parse
from console.notifications.send import Address, load_addresses, sender
from console.record.rows import Cursor
from console.record.write.maintenance import back_up
from console.record.write.store import open_store
from tests.console.support.certificates import self_signed
from tests.console.support.every_page import SCRIPTS
from tests.console.support.facts import dump, rows
from tests.console.support.following import Following, until
from tests.console.support.receivers import MailServer, WebhookServer, mail_server, text_of, webhook_server
from tests.console.support.seeded import REASON, TENANT, host_name, ident, rolling_run, rollout_read, seed_small, target
from tests.console.support.seeded_instances import health, policy, put, updates
from tests.console.support.served import CHECKOUT

pytestmark = pytest.mark.usefixtures("environment")

BIG = ident(3, 0x4D04ED73)
PASSWORD, KEY, PATH_TOKEN = "hush-mail-password", "hush-signing-key", "hush-path-token"
RULES = """
console_url = "https://console.example.com"
[to.mail]
kind = "apprise"
address_env = "FLEETOPS_NOTIFY_MAIL"
[to.hook]
kind = "webhook"
address_env = "FLEETOPS_NOTIFY_HOOK"
secret_env = "FLEETOPS_NOTIFY_HOOK_KEY"
"""
EVERYWHERE = RULES + '[[rule]]\non = "operations"\nto = ["mail", "hook"]\noutcomes = ["failed", "uncertain"]\n'
TO_HOOK = RULES.replace('kind = "apprise"', 'kind = "webhook"\nsecret_env = "NONE"')
TO_HOOK = TO_HOOK.replace("[to.mail]", "[to.unused]") + '[[rule]]\non = "operations"\nto = "hook"\n'


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with webhook_server() as server:
        yield server


@pytest.fixture
def addresses(mails: MailServer, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = f"mailto://robot:{PASSWORD}@127.0.0.1:{mails.port}?from=fleet@example.org&to=ops@example.org&mode=insecure"
    monkeypatch.setenv("FLEETOPS_NOTIFY_MAIL", mail)
    monkeypatch.setenv("FLEETOPS_NOTIFY_HOOK", f"{hook.url}/in/{PATH_TOKEN}?token={PATH_TOKEN}")
    monkeypatch.setenv("FLEETOPS_NOTIFY_HOOK_KEY", KEY)


def failed_rollout(path: Path, now: float, count: int, rollout_id: str = BIG) -> None:
    """A rollout by another user in which every target failed."""
    targets = [
        target(number, rollout_id, "failed", now - 900, now - 800, now - 100, error_message=REASON)
        for number in range(count)
    ]
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([rollout_read(rollout_id, targets, "failed", now - 900, now - 60)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))


def written(folder: Path, text: str) -> str:
    file = folder / "rules.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_20000_failures_are_one_message_that_is_sent_once(
    tmp_path: Path, mails: MailServer, hook: WebhookServer, addresses: None, capfd: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "console.db"
    failed_rollout(database, time.time(), 20_000)
    command = ["notify", "--db", str(database), "--rules", written(tmp_path, EVERYWHERE)]

    assert main([*command, "--dry-run"]) == 0
    shown = capfd.readouterr()
    assert shown.out.count("fleet rollout: stopped, 20,000 failed") == 2 and "2 messages would be sent" in shown.err
    assert main([*command, "--dry-run", "--format", "json"]) == 0
    documents = json.loads(capfd.readouterr().out)
    assert not mails.mails and not hook.calls and not rows(database, "SELECT * FROM notifications")

    assert main(command) == 0
    assert "2 messages sent" in capfd.readouterr().out
    (mail,), ((path, headers, body),) = mails.mails, hook.calls
    assert mails.logins == [("robot", PASSWORD)] and mail["To"] == "ops@example.org"
    assert mail["Subject"] == "fleet rollout: stopped, 20,000 failed"
    text = text_of(mail)
    assert "Stopped: no target succeeded. 20,000 failed." in text
    assert f"20,000 failed ({host_name(0)}" in text and f"and 19,994 more): {REASON}" in text
    assert f"https://console.example.com/operation?id={BIG}" in text.replace("&#61;", "=")

    assert path == f"/in/{PATH_TOKEN}?token={PATH_TOKEN}"
    document = json.loads(body)
    (fact,) = document["facts"]
    assert fact["counts"] == {"failed": 20_000} and fact["state"] == "stopped"
    assert fact["link"] == f"https://console.example.com/operation?id={BIG}"
    assert document["title"] == mail["Subject"] and document["text"].splitlines()[0] in text
    assert document["repeated"] is False and document["id"] == headers["X-Fleetops-Notification"]
    assert len(body) < 4000
    # The dry run showed the sent message, except for the number of the episode and the time.
    shown_one = next(one for one in documents if one["destination"] == "hook")
    assert shown_one | {"id": 0} == {key: value for key, value in document.items() if key != "sent_at"} | {"id": 0}
    at, _comma, digest = headers["X-Fleetops-Signature"].removeprefix("t=").partition(",v1=")
    assert hmac.compare_digest(digest, hmac.new(KEY.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest())
    assert abs(int(at) - time.time()) < 600 and document["sent_at"] == int(at)

    assert main(command) == 0
    assert "0 messages sent" in capfd.readouterr().out
    assert len(mails.mails) == len(hook.calls) == 1
    # Another operation is sent; this one is not sent again.
    failed_rollout(database, time.time(), 1, ident(4, 0x4D04ED73))
    assert main(command) == 0
    assert len(mails.mails) == len(hook.calls) == 2
    assert {row["outcome"] for row in rows(database, "SELECT outcome FROM notifications")} == {"sent"}

    everything = repr(dump(database)) + repr(mails.mails) + body.decode() + "".join(capfd.readouterr())
    assert "hush" not in everything


@pytest.mark.parametrize("kills", [1, 2])
def test_a_message_whose_delivery_was_not_recorded_is_sent_once_more_and_marked(
    kills: int, tmp_path: Path, hook: WebhookServer, addresses: None, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    database, rules = tmp_path / "console.db", TO_HOOK.replace("NONE", "FLEETOPS_NOTIFY_HOOK_KEY")
    failed_rollout(database, time.time(), 3)
    command = ["notify", "--db", str(database), "--rules", written(tmp_path, rules)]
    # A destination that no rule uses still needs an address.
    monkeypatch.setenv("FLEETOPS_NOTIFY_MAIL", hook.url)
    senders: list[subprocess.Popen[bytes]] = []
    others: list[bool] = []

    def received_and_killed(_body: bytes) -> None:
        # The message arrived, but its sender was killed. Meanwhile another notify does not send.
        others.append(notify_once(database, parse(rules), time.time(), lambda _to, _message: None).is_busy)
        senders[-1].send_signal(signal.SIGKILL)
        senders[-1].wait(60)

    hook.on_call = received_and_killed
    for number in range(kills):
        senders.append(subprocess.Popen([sys.executable, "-m", "console", *command], cwd=CHECKOUT))
        assert senders[-1].wait(120) == -signal.SIGKILL
        assert len(hook.calls) == number + 1
    assert others == [True] * kills
    hook.on_call = len
    code = main(command)
    output = capfd.readouterr()
    documents = [json.loads(body) for _path, _headers, body in hook.calls]
    assert [one["repeated"] for one in documents] == [False, True]
    assert documents[0]["id"] == documents[1]["id"]
    assert documents[1]["text"].startswith("Repeated: an earlier attempt")
    if kills == 1:
        assert code == 0 and "1 message sent" in output.out
    else:
        assert code == 1 and "two attempts were interrupted" in output.err
    assert main(command) == 0
    assert len(hook.calls) == 2


def test_a_failing_webhook_is_retried_and_its_refusal_is_reported_without_a_secret(
    tmp_path: Path, hook: WebhookServer, mails: MailServer, addresses: None, capfd: pytest.CaptureFixture[str]
) -> None:
    database, now = tmp_path / "console.db", time.time()
    failed_rollout(database, now, 3)
    rules = parse(EVERYWHERE)
    send = sender(load_addresses(rules.destinations.values()), sleep=lambda _seconds: None)
    mails.refuse = True
    hook.answers = [503, 408, 500]
    report = notify_once(database, rules, now, send)
    assert [why for _to, _message, why in report.not_sent][1].startswith("The webhook call failed after 3 attempts")
    assert [json.loads(body)["repeated"] for _path, _headers, body in hook.calls] == [False, True, True]
    assert len(report.problems) == 2 and "hush" not in repr(report) + repr(dump(database)) + "".join(capfd.readouterr())
    assert "was not sent. Apprise could not send the message" in report.problems[0]

    # Not at once, and then once more. A redirect is not followed, and a permanent refusal is not repeated at once.
    assert notify_once(database, rules, now + 59, send).paused == 2
    hook.answers = [302]
    report = notify_once(database, rules, now + 61, send)
    assert report.not_sent[1][2] == (
        "The webhook call failed: it answered HTTP 302, a redirect; use the final address."
    )
    mails.refuse = False
    report = notify_once(database, rules, now + 300, send)
    assert [name for name, _message in report.sent] == ["mail", "hook"] and not report.problems
    assert text_of(mails.mails[0]).startswith("Repeated: ")
    assert notify_once(database, rules, now + 3000, send).sent == ()

    # The server is gone: retried for a day, then given up, with one message.
    failed_rollout(database, now, 3, ident(5, 0x4D04ED73))
    (to_hook,) = load_addresses([rules.destinations["hook"]])
    gone = sender([Address(to_hook.destination, f"http://127.0.0.1:1/{PATH_TOKEN}", KEY)], sleep=lambda _seconds: None)
    alone = parse(EVERYWHERE.replace('["mail", "hook"]', '"hook"'))
    report = notify_once(database, alone, now + 400, gone)
    assert "Connection refused" in report.problems[0] and "hush" not in repr(report)
    report = notify_once(database, alone, now + 400 + 86_500, gone)
    assert not report.not_sent and "will not be sent again; the last attempt failed" in report.problems[0]
    assert notify_once(database, alone, now + 400 + 90_000, gone).problems == []


def test_a_webhook_that_is_down_delays_no_other_destination_and_loses_no_message(
    tmp_path: Path, hook: WebhookServer, mails: MailServer, addresses: None
) -> None:
    database, now = tmp_path / "console.db", time.time()
    for number in (3, 4, 5):
        failed_rollout(database, now, 1, ident(number, 0x4D04ED73))
    rules = parse(EVERYWHERE)
    send = sender(load_addresses(rules.destinations.values()), sleep=lambda _seconds: None)
    hook.answers = [503] * 6
    report = notify_once(database, rules, now, send)
    # A further message would only wait for the same server.
    assert (len(hook.calls), len(report.not_sent), report.paused, len(mails.mails)) == (3, 1, 2, 3)
    report = notify_once(database, rules, now + 30, send)
    assert (len(hook.calls), len(report.not_sent), report.paused, report.sent) == (6, 1, 2, ())
    report = notify_once(database, rules, now + 120, send)
    assert (len(report.sent), report.paused) == (3, 0)
    assert len({json.loads(body)["id"] for _path, _headers, body in hook.calls}) == 3
    # The last message was never tried before.
    assert [content.repeated for _name, content in report.sent].count(False) == 1


def test_notify_test_sends_one_message_to_each_destination(
    tmp_path: Path, hook: WebhookServer, mails: MailServer, addresses: None, capfd: pytest.CaptureFixture[str]
) -> None:
    # With a byte order mark, as some editors write it.
    command = ["notify", "test", "--rules", written(tmp_path, "\ufeff" + EVERYWHERE)]
    assert main([*command, "--dry-run"]) == 0
    assert not hook.calls and not mails.mails
    assert main(command) == 0
    assert capfd.readouterr().out.endswith("mail: sent.\nhook: sent.\n")
    assert mails.mails[0]["Subject"] == "Test of the fleet notifications" and len(hook.calls) == len(mails.mails) == 1
    hook.answers = [401]
    assert main([*command, "--to", "hook"]) == 1
    errors = capfd.readouterr().err
    assert errors == ("console: hook: the test message was not sent. The webhook call failed: it answered HTTP 401.\n")
    assert main([*command, "--to", "pager"]) == 2
    assert "no destination 'pager', only: mail, hook" in capfd.readouterr().err
    assert not list(tmp_path.glob("*.db*"))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FLEETOPS_NOTIFY_RULES", None, "FLEETOPS_NOTIFY_RULES is not set: set it to the file with the rules"),
        (
            "FLEETOPS_NOTIFY_RULES",
            "/nowhere/rules.toml",
            "The rules file /nowhere/rules.toml cannot be read: No such file",
        ),
        (
            "FLEETOPS_NOTIFY_MAIL",
            " ",
            "FLEETOPS_NOTIFY_MAIL is not set: set it to the address of the destination mail.",
        ),
        (
            "FLEETOPS_NOTIFY_HOOK_KEY",
            None,
            "FLEETOPS_NOTIFY_HOOK_KEY is not set: set it to the key of the destination hook.",
        ),
        ("FLEETOPS_NOTIFY_HOOK", "hush.example", "FLEETOPS_NOTIFY_HOOK must be an address such as https://host/path"),
        (
            "FLEETOPS_NOTIFY_HOOK",
            "https://u:hush@h/",
            "FLEETOPS_NOTIFY_HOOK must be an address such as https://host/path",
        ),
        ("FLEETOPS_NOTIFY_HOOK", "https://[hush/", "FLEETOPS_NOTIFY_HOOK must be an address such as https://host/path"),
        ("FLEETOPS_NOTIFY_MAIL", "nope://hush@x", "FLEETOPS_NOTIFY_MAIL is not one address that Apprise supports"),
        ("FLEETOPS_NOTIFY_MAIL", "json://hush.a,json://hush.b", "FLEETOPS_NOTIFY_MAIL is not one address that Apprise"),
    ],
)
def test_an_invalid_setting_is_reported_in_one_sentence_without_its_value(
    variable: str, value: str | None, message: str, tmp_path: Path, addresses: None, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FLEETOPS_NOTIFY_RULES", written(tmp_path, EVERYWHERE))
    database = tmp_path / "console.db"
    failed_rollout(database, time.time(), 1)
    before = dump(database)
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    assert main(["notify", "--db", str(database)]) == 2
    out, err = capfd.readouterr()
    assert message in err and err.count("\n") == 1 and "hush" not in err and not out
    assert dump(database) == before


def test_a_destination_whose_package_is_missing_names_it_and_others_work(
    tmp_path: Path, hook: WebhookServer, addresses: None, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "apprise", None)
    # With a byte order mark, as some editors write it.
    command = ["notify", "test", "--rules", written(tmp_path, "\ufeff" + EVERYWHERE)]
    assert main(command) == 2
    assert capfd.readouterr().err.endswith(" -m pip install apprise\n")
    assert main([*command, "--to", "hook"]) == 0
    assert len(hook.calls) == 1
    monkeypatch.setitem(sys.modules, "requests", None)
    assert main([*command, "--to", "hook"]) == 2
    assert capfd.readouterr().err.endswith(" -m pip install requests\n")


def test_a_certificate_is_verified_with_the_configured_authority(
    tmp_path: Path, addresses: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate = self_signed(tmp_path)
    command = ["notify", "test", "--to", "hook", "--rules"]
    with webhook_server(certificate) as server:
        monkeypatch.setenv("FLEETOPS_NOTIFY_HOOK", f"{server.url}/{PATH_TOKEN}")
        assert main([*command, written(tmp_path, EVERYWHERE)]) == 1
        errors = capfd.readouterr().err
        assert "no trusted TLS connection: " in errors and "self-signed certificate" in errors and "hush" not in errors
        named = EVERYWHERE.replace("[to.hook]", f'[to.hook]\nca_path = "{certificate[0]}"')
        assert main([*command, written(tmp_path, named)]) == 0
        assert [path for path, _headers, _body in server.calls] == [f"/{PATH_TOKEN}"]
        (tmp_path / "empty.pem").touch()
        for file, problem in (("none.pem", "does not exist"), ("empty.pem", "contains no readable certificate (PEM)")):
            assert main([*command, written(tmp_path, named.replace("cert.pem", file))]) == 2
            assert f"hook cannot be used: ca_path {tmp_path}/{file} {problem}." in capfd.readouterr().err
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        assert main([*command, written(tmp_path, EVERYWHERE)]) == 0


def test_a_copy_for_review_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    database, copy = tmp_path / "console.db", tmp_path / "copy.db"
    failed_rollout(database, time.time(), 1)
    back_up(database, copy, time.time())
    hooked = RULES + '[[rule]]\non = "operations"\nto = "hook"\n'
    rules = written(tmp_path, hooked.replace('kind = "apprise"', 'kind = "webhook"\nsecret_env = "KEY"'))
    for name in ("FLEETOPS_NOTIFY_MAIL", "FLEETOPS_NOTIFY_HOOK", "KEY", "FLEETOPS_NOTIFY_HOOK_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert main(["notify", "--db", str(copy), "--rules", rules]) == 3
    assert "is a copy for review" in capfd.readouterr().err
    assert main(["notify", "--db", str(copy), "--rules", rules, "--dry-run"]) == 0
    capfd.readouterr()
    before = sorted(tmp_path.iterdir())
    assert main(["notify", "--db", str(tmp_path / "none.db"), "--rules", rules]) == 3
    assert "There is no database at" in capfd.readouterr().err and sorted(tmp_path.iterdir()) == before


def test_a_following_sync_sends_each_ended_operation_once(
    tmp_path: Path, hook: WebhookServer, addresses: None, capfd: pytest.CaptureFixture[str]
) -> None:
    database, run_logs = tmp_path / "console.db", tmp_path / "runs"
    run_logs.mkdir()
    rules = TO_HOOK.replace("NONE", "FLEETOPS_NOTIFY_HOOK_KEY")
    read = ["--no-api", "--spool", str(run_logs), "--interval", "1s", "--idle-interval", "1s"]
    options = ["--notify", "--rules", written(tmp_path, rules)]
    keys = {"FLEETOPS_NOTIFY_HOOK": hook.url, "FLEETOPS_NOTIFY_HOOK_KEY": KEY, "FLEETOPS_NOTIFY_MAIL": hook.url}
    hook.answers = [401]
    follower = Following(database, *read, *options, **keys)
    until(lambda: follower.has_said("Everything was read once"))
    rolling_run(ident(1, 0x9A), time.time() - 60, hosts=4, batch=2)[0].write(run_logs)
    until(lambda: follower.has_said("hook: 'rolling_redeploy: stopped, 1 failed' was not sent."))
    # A simultaneous notify and later reads find that the delivery was just tried.
    assert follower.end() == 0
    assert len(hook.calls) == 1
    with sqlite3.connect(database) as conn:
        conn.execute("UPDATE notifications SET begun_at = begun_at - 100")
    follower = Following(database, *read, *options, **keys)
    until(lambda: bool(rows(database, "SELECT 1 FROM notifications WHERE outcome = 'sent'")))
    beat = "SELECT beat_at AS at FROM follower"
    sent_at = rows(database, beat)[0]["at"]
    until(lambda: rows(database, beat)[0]["at"] > sent_at + 3)
    assert follower.end() == 0 and len(hook.calls) == 2
    assert json.loads(hook.calls[1][2])["facts"][0]["link"].endswith(f"/operation?id={ident(1, 0x9A)}")
    assert "hush" not in "".join(follower.said)
    for wrong in (["--notify"], ["--follow", "--rules", "rules.toml"]):
        assert main(["sync", "--no-api", "--db", str(database), *wrong]) == 2
    errors = capfd.readouterr().err.splitlines()
    assert errors == [
        "console: --notify works only with sync --follow; add --follow.",
        "console: --rules works only with --notify; add --notify.",
    ]


def test_every_fact_is_found_in_the_record_and_its_link_leads_to_a_page(tmp_path: Path) -> None:
    database, now = tmp_path / "console.db", float(int(time.time()))
    seed_small(database, tmp_path / "runs", now)
    waiting = [target(number, ident(7, 0x66), "in_progress", now - 9000, now - 9000, None) for number in range(3)]
    with open_store(database) as store:
        store.put_rollouts([rollout_read(ident(7, 0x66), waiting, "in_progress", now - 9000, None)])
        for number in range(6):
            put(store, "health", number, health(number, now, "unhealthy" if number < 2 else "healthy"), now)
            put(store, "updates", number, updates(number, now, "2.4.0" if number < 2 else "2.5.0", "2.5.0"), now)
        closed = {"maintenance_window_start_hour_utc": int(now // 3600 + 6) % 24,
                  "maintenance_window_end_hour_utc": int(now // 3600 + 7) % 24}  # fmt: skip
        store.put_policy(policy_row(TENANT, policy(now, **closed), now - 86_400))
        store.put_policy(policy_row(TENANT, policy(now, **closed, max_parallel_rollouts=9), now - 60))
        store.put_tenant("https://other.example", now)
        store.put_cursor(Cursor("api", "https://other.example", last_ok_at=now - 200_000))
    asked = parse(RULES + f'[[rule]]\non = {json.dumps(SUBJECTS)}\nto = "hook"\n')
    found = read_facts.facts(database, asked, [], now)
    by_subject: dict[str, list[str]] = {}
    for fact in found:
        by_subject.setdefault(fact.subject, []).append(fact.title)
        assert fact.page in SCRIPTS, fact
    assert set(by_subject) == set(SUBJECTS)
    assert {"rolling_redeploy: stopped, 1 failed", "reboot: lost, 1 uncertain"} <= set(by_subject["operations"])
    assert by_subject["stuck"][0].startswith("3 instances: in progress for")
    assert by_subject["stale"] == ["The API of https://other.example was last read 2 d ago"]
    assert by_subject["unhealthy"] == ["2 instances are unhealthy"]
    (ill,) = (fact for fact in found if fact.subject == "unhealthy")
    assert link(ill, "https://c.example") == "https://c.example/instances?instances_health=unhealthy"
    assert by_subject["drift"] == ["2 of 6 instances do not run the published runtime 2.5.0"]
    (changed,) = (fact for fact in found if fact.subject == "policy")
    assert changed.outside_window and "max_parallel_rollouts from 2 to 9" in changed.sentence
    assert set(by_subject["window"]) == {"A rollout began outside the maintenance window"}
    # Three targets are in progress: the versions differ because of them, and nothing is sent.
    assert [fact.is_held for fact in found if fact.subject == "drift"] == [True]

    # A lasting condition is sent again only after it was over.
    lasting = parse(RULES + '[[rule]]\non = ["stuck", "unhealthy"]\nto = "hook"\n')
    titles: list[str] = []

    def keep(_to: str, message: object) -> None:
        titles.append(message.title)  # type: ignore[attr-defined]

    notify_once(database, lasting, now, keep)
    assert len(titles) == 2 and notify_once(database, lasting, now + 1, keep).sent == ()
    with open_store(database) as store:
        for number in range(2):
            put(store, "health", number, health(number, now + 2), now + 2)
    assert notify_once(database, lasting, now + 3, keep).sent == ()
    with open_store(database) as store:
        put(store, "health", 1, health(1, now + 4, "unhealthy"), now + 4)
    notify_once(database, lasting, now + 5, keep)
    assert titles[2:] == [f"{host_name(1)} is unhealthy"]
