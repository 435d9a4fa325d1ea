# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The one reader of answers with status 200 that say no. Pure functions.

The reference types ``status`` and ``message`` as plain texts, so a server may refuse or leave out a write and still
answer with a success. What is no refusal by its words proves nothing: the caller looks up what became of the write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .answers import normalise

# Of a status: its first word says it ("rejected: quota exceeded").
_STATUS = re.compile(
    r"(?:failed|failure|error|refused|rejected|denied|declined|cancell?ed|aborted|blocked|forbidden|skipped|ignored"
    r"|disabled|disallowed|unauthori[sz]ed|invalid|unsupported|unavailable|locked|prohibited|suppressed|throttled"
    r"|stopped|offline|unreachable|not_\w+|quota\w*|limit_\w*exceeded)(?:_|\W|$)"
)
_ACCEPTED = re.compile(
    r"(?:accepted|ok|okay|success\w*|succeeded|complete[d]?|done|queued|enqueued|pending|scheduled|started|running"
    r"|in_progress|dispatched|sent|stored|created|saved|cleared|deleted|applied|updated)(?:_|\W|$)"
)
_REFUSED = (
    r"refused|refusing|rejected|denied|declined|blocked|forbidden|prohibited|disallowed|unauthori[sz]ed"
    r"|not (?:be )?(?:allowed|permitted|supported|possible|accepted|authori[sz]ed|executed|carried out|applied|started"
    r"|stored|enabled|done|performed|sent|queued|enqueued|redeployed|restarted|cleared)|exceeded|exceeds"
    r"|can ?not|can't|could not|may not|must not|unable to|window (?:is )?(?:now )?closed|closed window"
    r"|outside (?:of )?(?:the |its |your )?(?:maintenance )?window|only (?:admins?|administrators?)"
)
# What hinders, unless the status says that it does not.
_HINDERED = (
    r"skipped|skipping|ignored|failed|aborted|disabled|unsupported|unavailable|suspended|stopped|locked|offline"
    r"|unreachable|not (?:running|available|found|reachable|ready)|nothing was"
)
_WORDS = rf"{_REFUSED}|{_HINDERED}"
_STRONG = re.compile(rf"\b(?:{_REFUSED})\b", re.IGNORECASE)
_ANY = re.compile(rf"\b(?:{_WORDS})\b", re.IGNORECASE)
# "0 failed", "no update was skipped", "failed: 0": the word is denied where it stands, or speaks of an earlier time.
_DENIED = re.compile(
    rf"\b(?:0|no|none|without)\s+(?:\w+\s+){{0,2}}?(?:{_WORDS})\b(?!\s*:)|\bnothing was (?:skipped|refused|rejected)\b"
    r"|\b(?:not|never)\s+(?:stopped|blocked|failed|skipped|rejected|refused|denied|disabled|locked|ignored)\b"
    r"|\b(?:skipped|failed|rejected|blocked|denied)\W{0,3}0\b"
    r"|\b(?:previous|last|earlier|former)\s+(?:\w+\s+){1,2}failed\b",
    re.IGNORECASE,
)
_SKIPS = re.compile(r"\b\d*\s*(?:\w+\s+)?(?:skipped|skipping)\b", re.IGNORECASE)


def says_no(status: Any) -> bool:
    """Whether a status word means that what was asked for was not done, or did not work."""
    return bool(_STATUS.match(normalise(status)))


def refusal_in(answer: Any, *, status: bool = True, skips: bool = True) -> str | None:
    """What the server said if its answer to a write is a refusal by the words of ``status`` or ``message``; or None.

    Takes any parsed body. ``status`` false leaves the status out, where it says something else (E15: the health).
    ``skips`` false does not take "skipped" in the message for one, where a part may be left out (E2).
    """
    if not isinstance(answer, Mapping):
        return None
    word = answer.get("status") if status else None
    message = next((text for key in ("message", "detail", "error") if isinstance(text := answer.get(key), str)), "")
    text = _DENIED.sub(" ", message if skips else _SKIPS.sub(" ", message))
    by_status = says_no(word)
    by_message = (_STRONG if _ACCEPTED.match(normalise(word)) else _ANY).search(text)
    if not by_status and not by_message:
        return None
    said = [str(word).strip()] if by_status else []
    said += [message.strip()] if message.strip() else []
    return " ".join(": ".join(said).split()).removesuffix(".")
