# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions without a browser: who may act, which targets an action affects, the ledger, and the calls that are sent."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.act.decision import Intent, Seen, judge, why_not_confirmed, why_refused
from console.act.send import ActionOutcome, Attempt, act, read_state
from console.record.opening import DatabaseProblem
from console.record.read import ledgers
from console.record.write.ledgers import open_ledger
from console.record.write.store import open_store
from console.settings.environment import ApiConnection, SettingsError
from console.settings.identity import FRESH_SECONDS, LEEWAY_SECONDS, Identity, identity
from console.settings.login_file import Acting, Login, load_acting, load_login
from tests.console.support.login_file import written
from tests.simulator.running import Simulator, running_simulator

CONSOLE = Path(__file__).resolve().parents[3] / "console"
LISTED = frozenset({"email:Ops@example.com", "sub:sub-7", "email:kay@example.com"})
LOGIN = Login(Path("login.toml"), "https://console.example", "https://id.example", "console")
OPERATORS = Acting(True, LOGIN, LISTED, ("realm.roles", "operator"), "https://id.example")
CLAIMS = {"is_logged_in": True, "iss": "https://id.example", "sub": "sub-1", "iat": 1000.0}
OPERATOR = Identity("https://id.example", "sub-7", "ops@example.com", "operator", "")
VIEWER = Identity("https://id.example", "sub-1", "eve@example.com", "viewer", "You can view but not act.")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Simulator]:
    # Only the tests move the clock: a queued target stays queued.
    with running_simulator(
        instances=6, speed=0.0, knobs={"outcomes": {"agent-001": "uncertain_not_applied"}}
    ) as simulator:
        yield simulator


@pytest.fixture
def database(tmp_path: Path) -> Path:
    open_store(tmp_path / "console.db").close()
    return tmp_path / "console.db"


def started(fleet: Simulator) -> str:
    """Start a fleet rollout with queued targets, after earlier ones are cancelled."""
    fleet.clear_faults()
    for _dummy in range(40):
        rows = fleet.call("GET", "/v1/instances/fleet/runtime/rollouts")[1]
        if all(row["status"] in ("completed", "partial", "failed", "cancelled") for row in rows):
            break
        for row in rows:
            fleet.call("POST", f"/v1/instances/fleet/runtime/rollouts/{row['id']}/cancel?force=true")
        fleet.advance(300)
    status, answer = fleet.call("POST", "/v1/instances/fleet/runtime/rollout?override_window=true")
    assert status in (200, 202), answer
    fleet.advance(2)
    rows = fleet.call("GET", "/v1/instances/fleet/runtime/rollouts")[1]
    fleet.clear_journal()
    return rows[0]["id"]


def rollout(fleet: Simulator, rollout_id: str) -> dict[str, Any]:
    return fleet.call("GET", f"/v1/instances/fleet/runtime/rollouts/{rollout_id}")[1]


def connection(fleet: Simulator) -> ApiConnection:
    return ApiConnection(fleet.url, fleet.admin_key, retries=1)


def send(
    fleet: Simulator,
    database: Path,
    intent: Intent,
    who: Identity = OPERATOR,
    reason: str = "a bad bundle",
    confirmed: int = 99,
    typed: str = "",
    attempt_id: str = "",
) -> ActionOutcome:
    attempt = Attempt(attempt_id or uuid.uuid4().hex, who, intent, reason, confirmed, typed)
    return act(attempt, enabled=True, database=database, connection=connection(fleet), sleep=lambda _seconds: None)


def ledger(database: Path) -> list[dict[str, Any]]:
    conn = sqlite3.connect(database)
    conn.row_factory = sqlite3.Row
    return [dict(row) for row in conn.execute("SELECT * FROM console_audit ORDER BY attempt_id, phase")]


# Who may act


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "ops@EXAMPLE.com", "email_verified": True}, "operator"),
        ({"email": "OPS@example.com", "email_verified": "True"}, "operator"),
        ({"email": "ops@example.com", "email_verified": "false"}, "viewer"),
        ({"email": "ops@example.com", "email_verified": 1}, "viewer"),
        # lower() turns this address, which contains the kelvin sign, into the listed one.
        ({"email": "\u212aay@example.com", "email_verified": True}, "viewer"),
        ({"sub": "ops@example.com"}, "viewer"),
        ({"sub": "ops@example.com", "email": "eve@example.com", "email_verified": False}, "viewer"),
        ({"sub": "Sub-7"}, "viewer"),
        ({"email": "sub-7", "email_verified": True}, "viewer"),
        ({"sub": "sub-7", "iss": "https://other.example"}, "viewer"),
        ({"sub": "sub-7", "iss": "https://id.example/"}, "operator"),
        ({"realm.roles": "operator", "iss": "https://id.example.evil"}, "viewer"),
        ({"sub": "sub-7", "aud": "console"}, "operator"),
        ({"sub": "sub-7", "aud": ["other", "console"]}, "operator"),
        ({"sub": "sub-7", "aud": "other"}, "viewer"),
        ({"sub": "sub-7", "iat": 1000.0 + LEEWAY_SECONDS}, "operator"),
        ({"sub": "sub-7", "iat": 1000.0 + LEEWAY_SECONDS + 1}, "viewer"),
        ({"sub": "sub-7", "iat": 1000.0 + 10 * 365 * 86400}, "viewer"),
        ({"sub": "sub-7", "iat": float("nan")}, "viewer"),
        ({"sub": "sub-7", "iat": None}, "viewer"),
        ({"sub": "sub-7", "nbf": 1000.0 + LEEWAY_SECONDS + 1}, "viewer"),
        ({"sub": "sub-7", "nbf": 900.0, "exp": 950.0}, "operator"),
        ({"sub": "sub-7"}, "operator"),
        ({"realm": {"roles": ["viewer", "operator"]}}, "operator"),
        ({"realm.roles": "operator"}, "operator"),
        ({"email": "ops@example.com", "email_verified": False}, "viewer"),
        ({"email": "ops@example.com"}, "viewer"),
        ({"realm": {"roles": "operators"}}, "viewer"),
        ({"realm": ["roles"]}, "viewer"),
        ({"sub": "sub-7", "iat": 1000.0 - FRESH_SECONDS - 1}, "viewer"),
        ({"sub": "sub-7", "iat": "1000"}, "viewer"),
        ({"sub": "sub-7", "is_logged_in": "yes"}, "nobody"),
        ({"sub": "sub-7", "iss": None}, "nobody"),
        ({"sub": ""}, "nobody"),
    ],
)
def test_the_role_is_taken_from_verified_claims_of_the_provider(claims: dict[str, Any], role: str) -> None:
    found = identity(CLAIMS | claims, OPERATORS, now=1000.0)
    assert (found.role, bool(found.why_not)) == (role, role != "operator")


# reports/2026-11 D14
@pytest.mark.parametrize(
    ("claims", "parts"),
    [
        ({"email": "OPS@example.com"}, ["did not say whether it is yours", "email_verified", "sub:sub-1"]),
        ({"email": "OPS@example.com", "email_verified": "false"}, ["has not checked whether it is yours", "sub:sub-1"]),
        ({"email": "eve@example.com"}, ["not in the list of operators"]),
        ({}, ["did not send your address"]),
        ({"iss": "https://other.example"}, ["issuer https://other.example", "FLEETOPS_CONSOLE_ISSUER"]),
        ({"sub": "sub-7", "aud": "other"}, ["for a program other than"]),
        ({"sub": "sub-7", "iat": 9e9}, ["begins in the future", "clock"]),
        ({"sub": "sub-7", "iat": None}, ["did not say when you signed in"]),
        ({"sub": "sub-7", "iat": 1000.0 - FRESH_SECONDS - 1}, ["more than 12 hours ago"]),
    ],
)
def test_a_viewer_sees_the_reason_and_what_to_do(claims: dict[str, Any], parts: list[str]) -> None:
    found = identity(CLAIMS | claims, OPERATORS, now=1000.0)
    assert found.role == "viewer"
    assert [part for part in parts if part not in found.why_not] == [], found.why_not


# reports/2026-11 F3
def test_addresses_and_subjects_of_operators_are_not_confused() -> None:
    listed = "alice@example.com, Email: bob@example.com ,sub:carol@example.com,p-4,sub:urn:x:5"
    env = {"FLEETOPS_CONSOLE_OPERATORS": listed, "FLEETOPS_CONSOLE_ISSUER": "https://id.example"}
    acting = load_acting(env)
    assert acting.operators == {
        "email:alice@example.com", "email:bob@example.com", "sub:carol@example.com", "sub:p-4", "sub:urn:x:5",
    }  # fmt: skip
    verified = {"email_verified": True}
    for claims, may in (
        ({"sub": "alice@example.com"}, False),
        ({"sub": "s", "email": "alice@example.com", **verified}, True),
        ({"sub": "carol@example.com"}, True),
        ({"sub": "s", "email": "carol@example.com", **verified}, False),
        ({"sub": "p-4"}, True),
    ):
        assert identity(CLAIMS | claims, acting, 1000.0).may_act is may, claims
    for wrong in ("mail:eve@example.com", "urn:x:5", "email:eve", "sub:", "a@example.com,group:ops"):
        with pytest.raises(SettingsError, match="write email: and an address, or sub: and a subject"):
            load_acting({"FLEETOPS_CONSOLE_OPERATORS": wrong})


# reports/2026-11 F3
def test_the_issuer_is_that_of_the_login_file_unless_configured(tmp_path: Path) -> None:
    address = "http://inside:8080/realms/x/.well-known/openid-configuration"
    login = written(tmp_path / "login.toml", server_metadata_url=address)
    env = {"FLEETOPS_CONSOLE_LOGIN": str(login), "FLEETOPS_CONSOLE_OPERATORS": "sub:sub-7"}
    by_file = load_acting(env)
    assert by_file.issuer == "http://inside:8080/realms/x"
    named = load_acting(env | {"FLEETOPS_CONSOLE_ISSUER": "https://id.example"})
    claims = CLAIMS | {"sub": "sub-7"}
    assert [identity(claims, acting, 1000.0).may_act for acting in (by_file, named)] == [False, True]
    assert not identity(claims, Acting(operators=frozenset({"sub:sub-7"})), 1000.0).may_act


def test_without_a_list_and_a_claim_there_is_no_operator() -> None:
    assert identity(CLAIMS | {"email": "", "email_verified": True}, Acting(), 1000.0).role == "viewer"
    assert identity({}, OPERATORS, 1000.0).role == "nobody"


def test_unusable_settings_are_refused(tmp_path: Path) -> None:
    assert load_acting({}) == Acting()
    on = {"FLEETOPS_CONSOLE_ACTIONS": "on"}
    with pytest.raises(SettingsError, match="there is no login"):
        load_acting(on)
    with pytest.raises(SettingsError, match="nobody may act"):
        load_acting(on | {"FLEETOPS_CONSOLE_LOGIN": "a.toml", "FLEETOPS_CONSOLE_OPERATORS": " , "})
    with pytest.raises(SettingsError, match="a claim and its value"):
        load_acting({"FLEETOPS_CONSOLE_OPERATOR_CLAIM": "operators"})
    file = written(tmp_path / "login.toml")
    full = load_acting(on | {"FLEETOPS_CONSOLE_LOGIN": str(file), "FLEETOPS_CONSOLE_OPERATOR_CLAIM": "groups = ops"})
    assert full == Acting(True, load_login(file), frozenset(), ("groups", "ops"), "https://id.example.com")


# What an action affects


def state(status: str, *words: str) -> Seen:
    return Seen({"id": "r", "status": status}, [{"id": f"t{n}", "status": word} for n, word in enumerate(words)])


def test_a_verdict_names_the_affected_targets() -> None:
    def verdict(action: str, seen: Seen, force: bool = False) -> tuple[bool, int]:
        found = judge(Intent(action, "t", "r", "r", "t0", force=force), seen)
        assert found.sentence.endswith(".")
        return found.allowed, found.touches

    running = state("in_progress", "queued", "queued", "in_progress", "succeeded")
    assert verdict("pause", running) == (True, 2)
    assert verdict("resume", running) == (False, 0)
    assert verdict("cancel", running) == (True, 2)
    assert verdict("cancel", running, force=True) == (True, 3)
    paused = state("paused", "cancelled", "succeeded")
    assert verdict("pause", paused) == (False, 0)
    assert verdict("resume", paused) == (True, 1)
    assert verdict("cancel", state("cancelled", "cancelled")) == (False, 0)
    assert verdict("cancel", state("completed", "succeeded")) == (False, 0)
    assert verdict("retry", state("partial", "failed", "failed")) == (True, 1)
    assert verdict("retry", state("partial", "uncertain")) == (False, 0)
    assert verdict("retry", state("partial", "uncertain"), force=True) == (True, 1)
    assert verdict("retry", state("completed", "succeeded"), force=True) == (False, 0)
    assert verdict("retry", state("completed")) == (False, 0)
    assert verdict("power-cycle", Seen(targets=[{"status": "succeeded"}])) == (True, 1)
    assert verdict("power-cycle", Seen(targets=[{"status": "in_progress"}])) == (False, 0)
    assert verdict("reboot", running) == (False, 0)


def test_a_refused_action_is_explained_in_one_sentence() -> None:
    cancel = Intent("cancel", "t", "4f0c7c2e", "r", force=True)

    def refused(intent: Intent = cancel, who: Identity = OPERATOR, **given: Any) -> str:
        given = {"enabled": True, "reason": "why", "typed": "4f0c7c2e"} | given
        return why_refused(intent, who, **given)

    assert refused() == ""
    assert "switched off" in refused(enabled=False)
    assert refused(who=VIEWER) == VIEWER.why_not
    assert "Give a reason" in refused(reason="")
    assert "at most 500" in refused(reason="x" * 501)
    assert "type the name" in refused(typed="4f0c")
    assert "pause cannot be forced" in refused(replace(cancel, action="pause"))
    assert "no action 'reboot'" in refused(replace(cancel, action="reboot"))
    running = judge(replace(cancel, force=False), state("in_progress", "queued", "queued"))
    assert why_not_confirmed(running, 3) == ""
    assert "You confirmed 1 target, but the action would now affect 2" in why_not_confirmed(running, 1)


# The ledger


def test_the_ledger_is_append_only(database: Path) -> None:
    with open_ledger(database) as kept:
        assert kept.begin({"attempt_id": "a", "at": 1.0, "user": "ops"})
        assert not kept.begin({"attempt_id": "a", "at": 2.0, "user": "eve"})
        assert kept.outcome("a") is None
        assert kept.end({"attempt_id": "a", "at": 3.0, "outcome": "done"})
        assert not kept.end({"attempt_id": "a", "at": 4.0, "outcome": "failed"})
    conn = sqlite3.connect(database)
    for forbidden in (
        "UPDATE console_audit SET user = 'eve'",
        "DELETE FROM console_audit",
        "INSERT OR REPLACE INTO console_audit (attempt_id, phase, at, user) VALUES ('a', 'attempt', 9, 'eve')",
        "INSERT INTO console_audit (attempt_id, phase, at) VALUES ('a', 'attempt', 9)"
        " ON CONFLICT DO UPDATE SET at = excluded.at",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            conn.execute(forbidden)
    conn.close()
    assert [(row["phase"], row["at"], row["user"], row["outcome"]) for row in ledger(database)] == [
        ("attempt", 1.0, "ops", None),
        ("outcome", 3.0, None, "done"),
    ]


# The calls


def test_an_operator_can_pause_resume_and_cancel(fleet: Simulator, database: Path) -> None:
    rollout_id = started(fleet)
    intent = Intent("pause", fleet.url, rollout_id[:8], rollout_id)
    for action, status in (
        ("pause", "paused"),
        ("resume", ("in_progress", "pending")),
        ("cancel", ("cancelled", "cancelling")),
    ):
        touches = judge(
            replace(intent, action=action), read_state(connection(fleet), replace(intent, action=action))
        ).touches
        outcome = send(fleet, database, replace(intent, action=action), confirmed=touches)
        assert (outcome.word, outcome.touches) == ("done", touches), outcome
        assert rollout(fleet, rollout_id)["rollout"]["status"] in status
    assert [row["operation_id"] for row in fleet.writes()] == ["pause_rollout", "resume_rollout", "cancel_rollout"]
    rows = ledger(database)
    assert len(rows) == 6
    first = next(row for row in rows if row["action"] == "pause")
    assert (first["user"], first["role"], first["reason"]) == ("ops@example.com", "operator", "a bad bundle")
    assert fleet.admin_key not in str(rows)


def test_every_refused_action_is_recorded_and_not_sent(fleet: Simulator, database: Path) -> None:
    rollout_id = started(fleet)
    pause = Intent("pause", fleet.url, rollout_id[:8], rollout_id)
    queued = judge(pause, read_state(connection(fleet), pause)).touches
    assert queued > 1
    for outcome, message in (
        (send(fleet, database, pause, VIEWER), "view but not act"),
        (send(fleet, database, pause, Identity()), "not signed in"),
        (send(fleet, database, pause, reason=""), "Give a reason"),
        (send(fleet, database, pause, confirmed=queued - 1), "confirm again"),
        (send(fleet, database, replace(pause, action="resume")), "already"),
        (send(fleet, database, replace(pause, action="cancel", force=True), typed="no"), "type the name"),
        (send(fleet, database, replace(pause, tenant="https://other.example")), "belongs to https://other.example"),
    ):
        assert (outcome.word, message in outcome.sentence) == ("refused", True), outcome
    assert send(fleet, database, replace(pause, rollout_id="0" * 8)).word == "failed"
    assert fleet.writes() == []
    assert [row["outcome"] for row in ledger(database) if row["phase"] == "outcome"].count("refused") == 7


def test_a_confirmed_action_is_sent_once_even_if_submitted_repeatedly(fleet: Simulator, database: Path) -> None:
    rollout_id = started(fleet)
    intent = Intent("pause", fleet.url, rollout_id[:8], rollout_id)
    first, second = (send(fleet, database, intent, attempt_id="once") for _dummy in range(2))
    assert first == second
    assert len(fleet.writes()) == 1
    with open_ledger(database) as kept:
        kept.begin({"attempt_id": "cut off", "at": 1.0})
    assert "not recorded" in send(fleet, database, intent, attempt_id="cut off").sentence
    assert len(fleet.writes()) == 1


@pytest.mark.parametrize(
    ("fault", "word", "message"),
    [
        (
            {"reset_after": True},
            "done",
            "The outcome was unknown at first, but the action was carried out. The rollout is paused.",
        ),
        ({"reset_before": True}, "unknown", "The outcome is unknown: the API did not show it within 6 s."),
        ({"status": 403}, "failed", "HTTP 403"),
        ({"status": 429}, "failed", "HTTP 429"),
        (
            {"status": 200, "detail": "Not allowed for this rollout"},
            "failed",
            "The action failed on the server: Not allowed for this rollout. The rollout is in_progress.",
        ),
    ],
)
def test_a_call_of_unknown_outcome_is_looked_up_and_not_repeated(
    fault: dict[str, Any], word: str, message: str, fleet: Simulator, database: Path
) -> None:
    rollout_id = started(fleet)
    fleet.fault(operation="pause_rollout", **fault)
    outcome = send(fleet, database, Intent("pause", fleet.url, rollout_id[:8], rollout_id))
    assert (outcome.word, message in outcome.sentence) == (word, True), outcome
    assert len(fleet.writes()) == 1


def test_a_failed_target_can_be_retried_and_an_agent_restarted(fleet: Simulator, database: Path) -> None:
    rollout_id = started(fleet)
    fleet.advance(1200)
    lost = next(row for row in rollout(fleet, rollout_id)["targets"] if row["status"] == "uncertain")
    retry = Intent("retry", fleet.url, "agent-1", rollout_id, lost["id"])
    assert "may have been applied" in send(fleet, database, retry).sentence
    outcome = send(fleet, database, replace(retry, force=True), typed="agent-1")
    assert outcome.word == "done", outcome
    target = next(row for row in rollout(fleet, rollout_id)["targets"] if row["id"] == lost["id"])
    assert target["status"] in ("queued", "in_progress")
    other = next(row for row in fleet.instance_ids if row != lost["instance_id"])
    restart = Intent("power-cycle", fleet.url, "agent-2", instance_id=other)
    busy = send(fleet, database, replace(restart, instance_id=lost["instance_id"]))
    assert (busy.word, "being redeployed" in busy.sentence) == ("refused", True), busy
    fleet.fault(operation="power_cycle", reset_after=True, times=1)
    outcome = send(fleet, database, restart)
    assert (outcome.word, "unknown at first, but the action was carried out" in outcome.sentence) == ("done", True), (
        outcome
    )
    assert [row["operation_id"] for row in fleet.writes()] == ["retry_rollout_target", "power_cycle"]


def test_nothing_is_sent_if_it_cannot_be_recorded(fleet: Simulator, database: Path, tmp_path: Path) -> None:
    rollout_id = started(fleet)
    intent = Intent("pause", fleet.url, rollout_id[:8], rollout_id)
    for broken in (tmp_path / "none.db", tmp_path / "torn.db"):
        (tmp_path / "torn.db").write_bytes(b"no database" * 100)
        with pytest.raises(DatabaseProblem, match="Nothing was sent, because the attempt cannot be recorded"):
            send(fleet, broken, intent)
    assert fleet.writes() == []


def test_a_call_whose_outcome_cannot_be_recorded_is_reported_and_stays_open(fleet: Simulator, database: Path) -> None:
    rollout_id = started(fleet)
    with sqlite3.connect(database) as conn:
        conn.execute(
            "CREATE TRIGGER full BEFORE INSERT ON console_audit WHEN NEW.phase = 'outcome'"
            " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(
        DatabaseProblem, match=r"The outcome \(done: The server accepted the action.*cannot be recorded"
    ):
        send(fleet, database, Intent("pause", fleet.url, rollout_id[:8], rollout_id))
    assert len(fleet.writes()) == 1
    assert list(ledgers.console_actions(database)[0]["outcome"]) == [ledgers.NO_OUTCOME]


# The record


def test_the_list_of_actions_combines_both_ledger_rows(database: Path) -> None:
    now = time.time()
    with open_ledger(database) as kept:
        kept.begin({"attempt_id": "a", "at": now - 9, "user": "ops", "action": "pause", "name": "r", "reason": "why"})
        kept.end({"attempt_id": "a", "at": now - 8, "outcome": "done", "detail": "It is paused.", "targets": 3})
        kept.begin({"attempt_id": "b", "at": now - 5, "user": "ops", "action": "cancel", "name": "r", "reason": "why"})
    found, total = ledgers.console_actions(database)
    assert total == 2
    assert list(found["outcome"]) == ["no outcome", "done"]
    assert list(found["targets"])[1] == 3
    assert ledgers.console_actions(database, ("done",))[1] == 1
    assert ledgers.console_actions(database, search="CANCEL")[1] == 1
    assert ledgers.console_actions(database, search="%")[1] == 0


@pytest.mark.usefixtures("environment")
def test_the_page_shows_who_acted_with_hostile_text_as_text(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: Path) -> AppTest:
        monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(path))
        app = AppTest.from_file(str(CONSOLE / "app.py"), default_timeout=60)
        app.switch_page("web/actions/actions.py")
        app.run()
        assert not app.exception
        return app

    assert "python -m console sync" in str([code.value for code in opened(tmp_path / "none.db").code])
    assert "No actions have been tried" in str([text.value for text in opened(database).text])
    hostile = "![x](http://203.0.113.9/x) :green-badge[done]"
    with open_ledger(database) as kept:
        kept.begin({"attempt_id": "a", "at": time.time(), "user": hostile, "action": "pause", "reason": hostile})
    app = opened(database)
    (frame,) = app.dataframe
    assert list(frame.value["reason"]) == [hostile]
    assert [list(cell) for cell in frame.value["outcome"]] == [[f"✕ {ledgers.NO_OUTCOME}"]]
    others = [*app.markdown, *app.caption, *app.title]
    assert not [element.value for element in others if "203.0.113.9" in element.value]


@pytest.mark.parametrize("row", [{}, {"id": None, "rollout_id": None, "status": None, "completed_at": None}])
def test_a_verdict_describes_missing_values_in_words(row: dict) -> None:
    busy = judge(Intent("power-cycle", "t", "agent-1", instance_id="i"), Seen(targets=[row]))
    assert not busy.allowed
    assert "its target in a rollout without an id has no status. Wait until it has ended." in busy.sentence
    retry = judge(Intent("retry", "t", "agent-1", "r", "t0"), Seen({}, [{**row, "id": "t0"}]))
    assert retry.sentence == "The target has no status: only failed and uncertain ones can be retried."
