# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Starting a fleet rollout once, or adopting the one that is in progress, and checking how it ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from .._client.client import ROLLOUTS_PAGE, FleetClient
from .._client.errors import ApiError
from .._client.pool import Call, failures, in_pool
from .._module.operation import Context, OperationFailed, facts_of
from .._rules.answers import Record, known_count, number, parse_time, rollout_is_terminal, rollout_status, target_status
from .._rules.ids import task_keys
from .._rules.plan import member_of
from .._rules.record_words import counted, ended_as, named, origin, with_status
from .._rules.redeploy import Before, manifest_is_stale
from .._rules.refusals import refusal_in
from .._rules.rollout import Evidence, doubt_about, ends, ends_text, grace_left, is_quiet, tasks_started
from .claimed import claimed
from .notes_of_sent import ANSWERED, FOUND, LOST, Note, Notes
from .refusal import closed_window, fail_if_refused, fail_if_window_is_unknown, fail_refused
from .rollout_follow import (
    FLEET,
    RESUME_IT,
    SHOWS_WITHIN,
    evidence_of,
    fail_if_too_many,
    find_started,
    follow,
    look_for_started,
    names_of,
    remember,
    settle_uncertain,
    unfinished_fleet_rollouts,
)
from .rollout_steer import stop
from .unresolved import resolve

# If the first target starts more than this many seconds later, the server has postponed the rollout.
_PUT_OFF = 60.0
_WORKERS = 8


def start(context: Context) -> None:
    """Start a fleet rollout, or adopt the one that is in progress. With ``wait``, follow it to its end."""
    context.result["adopted"] = False
    if context.params["only_if_outdated"] is not None:
        context.result["outdated"] = _outdated(context, context.params["only_if_outdated"])
        if not context.result["outdated"]:
            return
    with claimed(context, "fleet rollout", "starting a fleet rollout") as waited_from:
        detail = _start_or_adopt(context, waited_from)
    if detail is None or context.check_mode:
        return
    if not context.result["adopted"]:
        _tell_delay(context, detail)
    if context.params["wait"]:
        _follow_to_end(context)
    else:
        _warn_of_another_size(context, detail)


def _start_or_adopt(context: Context, waited_from: float | None) -> Record | None:
    """The rollout (E4 body) to follow, None if there is none. The caller has claimed the fleet on this machine.

    ``waited_from``: when this task began to wait for another one (epoch seconds, local clock); None if it did not wait.
    """
    notes = Notes(context, FLEET, FLEET)
    rows = context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE)
    unfinished = unfinished_fleet_rollouts(context)
    if unfinished:
        return _adopt(context, unfinished)
    earlier = None if context.check_mode else _sent_before(context, notes, waited_from)
    if earlier is not None:
        return _adopt(context, [earlier["rollout"]])
    if not context.params["override_window"]:
        fail_if_window_is_unknown(context)
        closed = closed_window(context) if context.check_mode else ""
        if closed:
            context.fail(f"The server would refuse a fleet rollout now. {closed}")
    before = Before.of(rows)
    ambiguous: list[ApiError] = []
    try:
        answer = context.write(
            lambda: _send(context, notes, before, ambiguous),
            before={"fleet_rollout": None},
            after={"fleet_rollout": "started"},
        )
    except ApiError as error:
        if error.kind != "conflict":
            raise
        return _adopt(context, _rollout_of_conflict(context, error))
    if answer is None:
        return None
    evidence = Evidence(before.known_ids, before.newest)
    doubt = ""
    if not ambiguous:
        evidence = _answered(context, notes, answer, evidence)
        doubt = doubt_about(answer)
    detail = None
    if evidence.enqueued != 0 or doubt:
        unknown = replace(evidence, enqueued=None) if doubt else evidence
        detail = find_started(context, notes, unknown, ambiguous[0] if ambiguous else None, doubt)
    if detail is None:
        _nothing_started(context, notes, answer)
        return None
    notes.set_stage(FLEET, FOUND, rollout_id=detail["rollout"].get("id"))
    if doubt:
        context.warn(f"{doubt} It has started {named('rollout', detail['rollout'])}.")
    return detail


def _sent_before(context: Context, notes: Notes, waited_from: float | None) -> Record | None:
    """The rollout that another task started while this one waited, or that an earlier run sent but did not find."""
    note = notes.read(FLEET)
    if note is None:
        return None
    if note.stage == FOUND:
        if waited_from is None or note.noted_at < waited_from:
            return None
        return context.client.get_rollout(str(note.facts.get("rollout_id")))

    def look(note: Note) -> Record | None:
        facts = note.facts
        evidence = Evidence(
            frozenset(facts.get("known_ids") or ()),
            parse_time(facts.get("newest")),
            known_count(facts.get("enqueued")),
            known_count(facts.get("total")),
            frozenset(facts.get("strings") or ()),
        )
        return look_for_started(context, evidence).detail

    found = resolve(context, notes, FLEET, "A fleet rollout", look)
    if found is None:
        return None
    rollout = found["rollout"]
    ended = rollout_is_terminal(rollout, found["targets"])
    told = (
        f"Fleet {named('rollout', rollout)} is probably the one that was sent from this machine at {note.sent_in_words}"
    )
    # If it has ended without the wanted result, another one may be started.
    if ended and (rollout_status(rollout.get("status")) != "completed" or context.result.get("outdated")):
        context.warn(f"{told}. It has {ended_as(rollout)}, so another one is started.")
        return None
    context.warn(f"{told}, so none was started.{' Run this task again to start another one.' if ended else ''}")
    return found


def _outdated(context: Context, instances: list[str]) -> list[str]:
    """The instances that do not have the published runtime, by E25 or, if that is older, by their last redeploy."""

    def look(instance: str) -> Call:
        def ask(client: FleetClient) -> bool:
            updates = client.get_available_updates(instance)
            if not member_of(instance, instance, updates, redeploy_all=False).planned:
                return False
            stale = manifest_is_stale(updates, client.list_instance_rollouts(instance))
            return stale is None or target_status(stale.get("status")) != "succeeded"

        return ask

    calls = [look(instance) for instance in instances]
    # The first call is made alone, so that a wrong key is tried only once.
    answers = in_pool(context.client, calls[:1], workers=1)
    if isinstance(answers[0], ApiError):
        raise answers[0]
    answers += in_pool(context.client, calls[1:], workers=_WORKERS)
    error = next((answer for answer in answers if isinstance(answer, ApiError)), None)
    if error is not None:
        said = "; ".join(failures((f"instance {i}" for i in instances), answers))
        context.fail(f"It is not known which instances are outdated: {said}", error=error.as_dict())
    return [instance for instance, outdated in zip(instances, answers, strict=True) if outdated]


def _send(context: Context, notes: Notes, before: Before, ambiguous: list[ApiError]) -> Record:
    """Send E2 once. If the outcome is unknown, its error is added to ``ambiguous``, and the answer is empty."""
    notes.sending(FLEET, known_ids=sorted(before.known_ids), newest=before.newest)
    try:
        answer = context.client.start_fleet_rollout(override_window=context.params["override_window"])
    except ApiError as error:
        if error.ambiguous:
            notes.set_stage(FLEET, LOST)
            ambiguous.append(error)
            return {}
        notes.end(FLEET)
        fail_if_refused(context, error)
        raise
    if not known_count(answer.get("enqueued")) and not tasks_started(answer):
        _fail_if_refused(context, notes, answer)
    return answer


def _fail_if_refused(context: Context, notes: Notes, answer: Record) -> None:
    """Fail if the answer of E2, which has started nothing, is a refusal."""
    said = refusal_in(answer, skips=False)
    held_back = "" if context.params["override_window"] else closed_window(context)
    # Skipped instances are not a refusal, unless no instance was enqueued and the window is closed.
    if said is None and held_back and "window" in str(answer.get("message")).lower():
        said = str(answer["message"]).removesuffix(".")
    if said is not None:
        notes.end(FLEET)
        context.changed, context.diff = False, None
        fail_refused(context, "The fleet rollout", said)


def _rollout_of_conflict(context: Context, error: ApiError) -> list[Record]:
    """The fleet rollout that is the reason for a status 409. It may appear in the list a few seconds later."""
    waited_from = context.clock()
    while True:
        unfinished = unfinished_fleet_rollouts(context)
        if unfinished:
            return unfinished
        if context.clock() - waited_from >= SHOWS_WITHIN:
            context.fail(f"{error} {closed_window(context)}".strip(), error=error.as_dict())
        context.sleep(context.params["wait_interval"])


def _adopt(context: Context, unfinished: list[Record]) -> Record:
    """The fleet rollout (E4 body) that is in progress. Fails if the task must not, or cannot, adopt it."""
    told = with_status(unfinished)
    if len(unfinished) > 1:
        context.fail(f"Several fleet rollouts are in progress, so none was started and none followed: {told}.")
    if context.params["on_active"] == "fail":
        context.result.update(rollout=unfinished[0], rollout_id=unfinished[0].get("id"))
        context.fail(f"A fleet rollout is already in progress: {told}. Nothing was sent (on_active is fail).")
    if not unfinished[0].get("id"):
        context.fail(
            f"A fleet rollout is in progress that the server lists without an id ({origin(unfinished[0])}), so it "
            "cannot be followed, and none was started. Wait for its end."
        )
    context.result["adopted"] = True
    detail = context.client.get_rollout(str(unfinished[0]["id"]))
    remember(context, detail)
    if rollout_status(detail["rollout"].get("status")) == "paused":
        context.warn(f"The adopted fleet rollout {unfinished[0]['id']} is paused: it ends only once it is resumed.")
    return detail


def _answered(context: Context, notes: Notes, answer: Record, evidence: Evidence) -> Evidence:
    """Set the return values from the answer of E2, and return the evidence with its data."""
    enqueued, skipped, total = (known_count(answer.get(key)) for key in ("enqueued", "skipped", "total"))
    tasks = answer["tasks"] if isinstance(answer.get("tasks"), list) else []
    # The name is not "skipped", because Ansible would then report the whole task as skipped.
    context.result.update(enqueued=enqueued, skipped_instances=skipped, total=total, tasks=tasks)
    strings = task_keys(tasks)
    notes.set_stage(FLEET, ANSWERED, enqueued=enqueued, total=total, strings=sorted(strings))
    return replace(evidence, enqueued=enqueued, total=total, strings=strings)


def _nothing_started(context: Context, notes: Notes, answer: Record) -> None:
    """Set the return values if no instance was enqueued, so that nothing has changed. Fails for a refusal."""
    _fail_if_refused(context, notes, answer)
    notes.end(FLEET)
    context.changed, context.diff = False, None
    held_back = "" if context.params["override_window"] else closed_window(context)
    said = f" ({answer['message']})" if answer.get("message") else ""
    context.result["msg"] = f"The server enqueued no instance{said}. {held_back}".strip()
    if held_back:
        context.warn(context.result["msg"])


def _warn_of_another_size(context: Context, detail: Record) -> None:
    """Warn if the rollout has a number of targets that contradicts the answer of E2."""
    enqueued, total = context.result.get("enqueued"), context.result.get("total")
    size = known_count(detail["rollout"].get("total_targets")) or len(detail["targets"])
    if size and enqueued is not None and size not in (enqueued, total):
        said = counted(enqueued, "instance") if total is None else f"{enqueued} of {counted(total, 'instance')}"
        has = f"{named('rollout', detail['rollout'])} has {counted(size, 'target')}"
        context.warn(f"The server said that it enqueued {said}, but {has}.")


def _tell_delay(context: Context, detail: Record) -> None:
    """Return when the targets start, and warn if the server has postponed all of them."""
    delays = [number(row.get("scheduled_countdown_seconds")) for row in detail["targets"]]
    known = [delay for delay in delays if delay is not None]
    if not known:
        return
    context.result["countdown_seconds"] = max(known)
    if len(known) == len(delays) and min(known) >= _PUT_OFF:
        held_back = closed_window(context)
        context.warn(
            f"The server postponed the rollout: its first target starts in {min(known):.0f} s. {held_back}".strip()
        )


def _follow_to_end(context: Context) -> None:
    """Wait for the end of the rollout, or stop it if too many targets fail. Fails unless the result is good enough."""
    rollout_id, on_too_many = str(context.result["rollout_id"]), context.params["on_too_many"]
    watch = None if on_too_many == "none" else _TooMany(context)
    detail = follow(context, rollout_id, watch)
    if watch is not None and watch.reached:
        _stop(context, detail)
        detail = follow(context, rollout_id)
    _warn_of_another_size(context, detail)
    detail, verdicts = settle_uncertain(context, detail)
    remember(context, detail)
    fail_if_too_many(context, detail, verdicts)


class _TooMany:
    """Whether more targets of a rollout in progress have failed than max_failed allows. Called with each read of E4.

    An uncertain target counts as failed after uncertain_grace seconds, unless the evidence says that it succeeded.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._verdicts: dict[str, str] = {}
        self.reached = False

    def __call__(self, detail: Record) -> bool:
        context, rollout = self._context, detail["rollout"]
        stopping = rollout_status(rollout.get("status")) in ("paused", "cancelling")
        if stopping or is_quiet(rollout, detail["targets"]):
            return False
        found = ends(detail["targets"], finished=False)
        for row in found.uncertain:
            left = grace_left([row], context.client.server_time, context.params["uncertain_grace"])
            if str(row.get("id")) not in self._verdicts and left == 0:
                self._verdicts[str(row.get("id"))] = evidence_of(context, row)[0]
        lost = [row for row in found.uncertain if self._verdicts.get(str(row.get("id")), "succeeded") != "succeeded"]
        self.reached = len(found.failed) + len(found.unknown) + len(lost) > context.params["max_failed"]
        return self.reached


def _stop(context: Context, detail: Record) -> None:
    """Pause or cancel the rollout because too many targets have failed, and fail. Does nothing if it has just ended."""
    rollout_id, cancels = str(context.result["rollout_id"]), context.params["on_too_many"] == "cancel"
    before, diff = None if context.changed else detail["rollout"].get("status"), context.diff
    state = "cancelled" if cancels else "paused"
    found = ends(detail["targets"], finished=False)

    def told() -> str:
        # The host names are read only after the rollout was stopped.
        return (
            f"Too many targets of fleet rollout {rollout_id} failed ({ends_text(found, names_of(context, rollout_id))})"
        )

    try:
        context.write(
            lambda: stop(context, rollout_id, state),
            before={"fleet_rollout": before},
            after={"fleet_rollout": state},
        )
    except (ApiError, OperationFailed) as error:
        facts = error.facts if isinstance(error, OperationFailed) else facts_of(error)
        context.diff = diff
        with suppress(ApiError):
            remember(context, context.client.get_rollout(rollout_id))
        if rollout_is_terminal(context.result["rollout"], context.result["targets"]):
            return
        context.fail(f"{told()}, but it could not be {state}: {error}", **{**facts, "too_many": True})
    step = "" if cancels else f" {RESUME_IT}"
    context.fail(
        f"{told()}, so it was {state}; targets in progress continue to their end.{step}", too_many=True, stopped=True
    )
