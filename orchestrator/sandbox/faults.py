"""Trouble on request.

A fault is asked for by a marker anywhere in a prompt, `[fault: NAME, NAME=VALUE, …]`, such as
`a lighthouse [fault: busy=2, duration=3]`; or, in the same words without the brackets, by a script at
`POST /control/faults`. A name that is not in the table is answered 400, so that no test passes by a typo.

    at the door, no task is made
      busy=N              503 in WaveSpeed's envelope to the first N submits (N = 1)
      refuse=STATUS       this status (500), in the envelope; with `html` as a gateway's page
      retry-after=S       adds the header Retry-After to a refusal
      no-credit           HTTP 200 with code 400 and no id
      no-reason           the same without a word of credit
    the task is made, the answer to the POST is not what it should be
      answer=drop         the connection is dropped without a byte (shorthand: lost-answer)
      answer=cut          dropped in the middle of the answer
      answer=STATUS       this status, in the envelope; with `html` as a gateway's page
      answer=garbage      200 with a body that is no JSON
      answer=empty        200 with no body
      slow=S              the answer comes S seconds late
    the task
      duration=S          runs for S seconds
      hold                runs until `POST /control/finish`
      fail=CODE           fails with this prediction code (5000)
      gone=S              polls are answered 404 for the first S seconds
      outputs=none        completed without an output
      outputs=huge        one output of 50 MB
      outputs=nul|nan|types|lone   a NUL, a NaN, wrong types, half a surrogate pair
    the callback
      callback=lost       never sent (shorthand: lost-callback)
      callback=early      sent and answered before the POST is answered
      callback=forged     wrong signature
      callback=unsigned   no signature at all
      callback=stale      signed correctly, an hour ago
      callback=reordered  the final one, then an older one that says "processing"
      callback=contradictory   the final one, then one that says the opposite
      copies=N            sent N times at once
      late=S              sent S seconds after the end
    the history (in a script on it)
      items=nameless      every item lacks its id
      items=bare          every item lacks its inputs
    how often
      times=N             the whole marker holds for the first N submits of this prompt by this client

Without `times`, what stands at the door or in the answer holds once (busy=N: N times), so that a retry of
the same prompt goes through; the rest holds for every task of that prompt.
"""

from __future__ import annotations

import random
import re
import time
from typing import Annotated, Literal

import msgspec

from orchestrator.sandbox.protocol import Refusal

MARKER = re.compile(r"\[fault:([^\]]*)\]", re.IGNORECASE)
BARE = {"busy": "1", "refuse": "500", "fail": "5000"} | dict.fromkeys(
    ("no-credit", "no-reason", "html", "hold"), "true"
)
SHORTHANDS = {"lost-callback": ("callback", "lost"), "lost-answer": ("answer", "drop")}
MOST_REMEMBERED = 100_000

Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
ErrorStatus = Annotated[int, msgspec.Meta(ge=400, le=599)]


class Plan(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What is to go wrong with one submit and its task."""

    busy: Count = 0
    refuse: ErrorStatus | None = None
    html: bool = False
    retry_after: Count | None = None
    no_credit: bool = False
    no_reason: bool = False
    answer: Annotated[str, msgspec.Meta(pattern="^(|drop|cut|garbage|empty|[45][0-9][0-9])$")] = ""
    slow: Seconds = 0.0
    duration: Seconds | None = None
    hold: bool = False
    fail: int = 0
    gone: Seconds = 0.0
    outputs: Literal["", "none", "huge", "nul", "nan", "types", "lone"] = ""
    callback: Literal["", "lost", "early", "forged", "unsigned", "stale", "reordered", "contradictory"] = ""
    items: Literal["", "nameless", "bare"] = ""
    copies: Count = 1
    late: Seconds = 0.0
    times: Count | None = None


CALM = Plan()


class Script(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fault for the next `count` requests, or for a `share` of them, or for the next `seconds`.

    `on` names the requests: submits, polls or history look-ups. Of the latter two only `busy`, `refuse`,
    `slow`, `answer` and, for the history, `items` have a meaning.
    """

    fault: str
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    seconds: Seconds | None = None
    seed: int = 0
    on: Literal["submit", "result", "history"] = "submit"


class _Running:
    """A script under way."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.plan = parse(script.fault)
        self.left = script.count
        self._dice = random.Random(script.seed)  # noqa: S311  reproducible on purpose
        self._until = None if script.seconds is None else time.monotonic() + script.seconds

    def is_over(self) -> bool:
        return self.left == 0 or (self._until is not None and time.monotonic() >= self._until)

    def hits(self) -> bool:
        if self.is_over() or self._dice.random() >= self.script.share:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Faults:
    """Decides for each request what goes wrong with it: the scripts first, then the prompt's marker."""

    def __init__(self) -> None:
        self._scripts: list[_Running] = []
        self._seen: dict[tuple[str, str, str], int] = {}

    def add(self, script: Script) -> None:
        """Put a script behind those that run; a wrong fault is refused."""
        self._scripts.append(_Running(script))

    def clear(self) -> None:
        """Drop all scripts, and forget which prompts were seen."""
        self._scripts.clear()
        self._seen.clear()

    def scripts(self) -> list[dict[str, object]]:
        """The scripts that are not over, with what is left of them."""
        return [
            {"fault": running.script.fault, "on": running.script.on, "left": running.left}
            for running in self._scripts
            if not running.is_over()
        ]

    def is_broke(self) -> bool:
        """Whether a script takes the account's credit away at the moment."""
        return any(running.plan.no_credit and not running.is_over() for running in self._scripts)

    def plan_for(self, on: str) -> Plan:
        """What the scripts say about one request of this kind."""
        for running in self._scripts:
            if running.script.on == on and running.hits():
                return running.plan
        return CALM

    def plan_submit(self, *, client: str, model: str, prompt: str) -> Plan:
        """What goes wrong with this submit; each call counts as one submit of the prompt."""
        if self._scripts and (scripted := self.plan_for("submit")) is not CALM:
            return scripted
        marked = MARKER.search(prompt)
        if marked is None:
            return CALM
        plan = parse(marked[1])
        return still_in_force(plan, earlier=self._count((client, model, prompt)))

    def _count(self, key: tuple[str, str, str]) -> int:
        earlier = self._seen.pop(key, 0)
        if len(self._seen) >= MOST_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = earlier + 1
        return earlier


def parse(text: str) -> Plan:
    """The plan that the words between `[fault:` and `]` ask for."""
    words: dict[str, str] = {}
    for item in filter(None, (part.strip().lower() for part in text.split(","))):
        name, has_value, value = item.partition("=")
        name, value = SHORTHANDS.get(name, (name.strip(), value.strip() if has_value else BARE.get(name, "")))
        words[name] = value
    try:
        return msgspec.convert(words, Plan, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"unknown fault in {text.strip()!r}: {error}") from error


def still_in_force(plan: Plan, *, earlier: int) -> Plan:
    """What is left of a marker whose prompt was submitted `earlier` times before."""
    if plan.times is not None:
        return plan if earlier < plan.times else CALM
    if earlier < max(plan.busy, 1):
        return plan
    return msgspec.structs.replace(
        plan, busy=0, refuse=None, no_credit=False, no_reason=False, answer="", slow=0.0
    )
