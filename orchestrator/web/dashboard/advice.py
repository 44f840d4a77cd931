"""What a failure means, and what to do about it: two sentences for each reason."""

from __future__ import annotations

import msgspec

from orchestrator.job import Reason


class Advice(msgspec.Struct, frozen=True):
    """`act` is what is worth trying first: redrive, look or dismiss."""

    means: str
    todo: str
    act: str


_OF_REASON = {
    Reason.REJECTED: Advice(
        "The provider will not take this input as it is, or somebody ended its task there.",
        "Mend the input and send it as a new job: a retry of this one would end the same way.",
        "dismiss",
    ),
    Reason.EXHAUSTED: Advice(
        "Every try that it may have failed, for causes that often pass.",
        "Retry it when the cause has passed; it starts again with all of its tries.",
        "redrive",
    ),
    Reason.EXPIRED: Advice(
        "A deadline passed before it had ended.",
        "Retry it if it is still wanted: it then has no deadline any more.",
        "redrive",
    ),
    Reason.CANCELLED: Advice(
        "Somebody cancelled it.", "Nothing more will happen; retry it if it is wanted after all.", "look"
    ),
    Reason.UNRESOLVED: Advice(
        "Nobody could say in time whether the provider has it.",
        "Look for it in the provider's own history first: a retry may be paid for a second time.",
        "look",
    ),
    Reason.POISONED: Advice(
        "Every worker that sent it died.",
        "Look into the log of a worker at that time; retry it only once the cause is mended.",
        "look",
    ),
    Reason.NO_OUTPUT: Advice(
        "The provider says that it completed, and gave no output.",
        "A retry may give one, and is paid for again; if it does not, ask the provider.",
        "redrive",
    ),
}


def advice_for(reason: str) -> Advice:
    """Of a reason's name; what is not known is worth a look."""
    if reason not in list(Reason):
        return Advice("It failed.", "Open one of them to see what happened.", "look")
    return _OF_REASON[Reason(reason)]
