# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Refusals in answers with status 200. Pure functions.

In the reference ``status`` and ``message`` are plain texts, so a server may refuse or skip a write and still answer
with status 200. An answer without a refusal proves nothing: the caller looks up the effect of the write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .answers import normalise
from .record_words import in_one_line

# Refusals in ``status``, by its first word ("rejected: quota exceeded").
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
# Words that mean a refusal unless the status says that the call was accepted.
_HINDERED = (
    r"skipped|skipping|ignored|failed|aborted|disabled|unsupported|unavailable|suspended|stopped|locked|offline"
    r"|unreachable|not (?:running|available|found|reachable|ready)|nothing was"
)
_WORDS = rf"{_REFUSED}|{_HINDERED}"
_STRONG = re.compile(rf"\b(?:{_REFUSED})\b", re.IGNORECASE)
_ANY = re.compile(rf"\b(?:{_WORDS})\b", re.IGNORECASE)
# "0 failed", "no update was skipped", "failed: 0", "the previous redeploy failed": here these words mean no refusal.
_NEGATED = re.compile(
    rf"\b(?:0|no|none|without)\s+(?:\w+\s+){{0,2}}?(?:{_WORDS})\b(?!\s*:)|\bnothing was (?:skipped|refused|rejected)\b"
    r"|\b(?:not|never)\s+(?:stopped|blocked|failed|skipped|rejected|refused|denied|disabled|locked|ignored)\b"
    r"|\b(?:skipped|failed|rejected|blocked|denied)\W{0,3}0\b"
    r"|\b(?:previous|last|earlier|former)\s+(?:\w+\s+){1,2}failed\b",
    re.IGNORECASE,
)
_SKIPS = re.compile(r"\b\d*\s*(?:\w+\s+)?(?:skipped|skipping)\b", re.IGNORECASE)


def says_no(status: Any) -> bool:
    """Whether a status means that the call was refused or has failed."""
    return bool(_STATUS.match(normalise(status)))


def refusal_in(answer: Any, *, status: bool = True, skips: bool = True) -> str | None:
    """The server's words if its answer to a write is a refusal by its ``status`` or ``message``; otherwise None.

    ``answer``: any parsed body. ``status``: false ignores the status, where it means something else (the health, in
    E15). ``skips``: false ignores "skipped" in the message, where a part may be skipped (E2).
    """
    if not isinstance(answer, Mapping):
        return None
    word = answer.get("status") if status else None
    message = next((text for key in ("message", "detail", "error") if isinstance(text := answer.get(key), str)), "")
    text = _NEGATED.sub(" ", message if skips else _SKIPS.sub(" ", message))
    by_status = says_no(word)
    by_message = (_STRONG if _ACCEPTED.match(normalise(word)) else _ANY).search(text)
    if not by_status and not by_message:
        return None
    said = [str(word).strip()] if by_status else []
    said += [message.strip()] if message.strip() else []
    return in_one_line(": ".join(said))
