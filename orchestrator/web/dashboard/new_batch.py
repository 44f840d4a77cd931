"""A form for a batch: its file is checked line by line first, and started when that looks right.

What was checked goes with the page as text, so that exactly that is started.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import FormData

from orchestrator.errors import BadLines, BeingSent, InvalidInput, OrchestratorError
from orchestrator.flow.create import check_webhook
from orchestrator.flow.lines import LONGEST_NAME, NewBatch, check_name
from orchestrator.flow.receive import Checked, check, receive
from orchestrator.flow.schedule import BULK, Schedule, read_schedule
from orchestrator.ids import new_id
from orchestrator.store import batches, keys
from orchestrator.store.batches import Batch
from orchestrator.web.dashboard.batch_file import lines_of
from orchestrator.web.dashboard.forms import file_of, text_of
from orchestrator.web.dashboard.pages import Done, Look, Shown
from orchestrator.web.dashboard.words import count
from orchestrator.web.lines import TextLines

LONGEST_FILE = 10 * 1024 * 1024
FORM_LIMIT = 2 * LONGEST_FILE
"""A file, and the lines that were made of it: a table's lines are longer than the table."""
_BAD_LINES_SHOWN = 100
_FIELDS = ("name", "model", "mode", "priority", "webhook", "file_name", "once", "again")
_DIGITS = 32


class Typed(msgspec.Struct, frozen=True):
    """What stands in the form; `lines` is "" until a file was read."""

    fields: dict[str, str]
    lines: str = ""


async def load(look: Look) -> Mapping[str, Any]:
    return _shown(look, Typed({"model": look.asked("model")}))


async def submit(look: Look, form: FormData) -> Done | Shown:
    """`step` is check, start, or partial: start with the good lines alone."""
    typed = Typed({name: text_of(form, name).strip() for name in _FIELDS}, text_of(form, "lines"))
    # What has not been checked is not started: a file that was chosen since then is checked first.
    step = "check" if file_of(form, "file") is not None else text_of(form, "step")
    try:
        typed = await _with_file(typed, form)
        new = _new_batch(look, typed, is_atomic=typed.fields["mode"] != "partial" and step != "partial")
        earlier = await _sent_before(look, typed, new)
        if step in ("start", "partial") and (earlier is None or typed.fields["again"]):
            return await _start(look, new, typed)
        checked = await check(look.runtime, new, TextLines(typed.lines))
    except BadLines as refused:
        return Shown("new_batch", _shown(look, typed, errors={"": str(refused)}))
    except InvalidInput as wrong:
        said = str(wrong).removeprefix(f"{wrong.field}: ")
        return Shown("new_batch", _shown(look, typed, errors={wrong.field or "file": said}))
    except OrchestratorError as refused:
        return Shown("new_batch", _shown(look, typed, errors={"": str(refused)}), status=refused.status)
    return Shown("new_batch", _shown(look, typed, checked=checked, earlier=earlier), status=200)


async def _with_file(typed: Typed, form: FormData) -> Typed:
    """A file that is chosen takes the place of the lines that came before. Raises InvalidInput."""
    file = file_of(form, "file")
    if file is None:
        if not typed.lines:
            raise InvalidInput("file", "must be chosen")
        return typed
    if (file.size or 0) > LONGEST_FILE:
        raise InvalidInput("file", "is larger than 10 MB; the API and the command line take 200 MB")
    name = file.filename or ""
    lines = lines_of(await file.read(), name=name, model=typed.fields["model"])
    named = typed.fields["name"] or name.rpartition(".")[0][:LONGEST_NAME]
    fields = typed.fields | {"file_name": name, "name": named}
    return Typed(fields, lines)


def _new_batch(look: Look, typed: Typed, *, is_atomic: bool) -> NewBatch:
    """Raises InvalidInput."""
    fields = typed.fields
    check_name(fields["name"])
    check_webhook(look.runtime, fields["webhook"], field="webhook")
    if fields["model"]:
        look.runtime.catalogue.check_name(fields["model"], "v3", is_strict=False)
    # The same lines sent twice from one page, as by a double click, are one batch.
    said = _digest([look.viewer.csrf, fields])
    return NewBatch(
        tenant_id=look.viewer.tenant_id,
        api_version="v3",
        name=fields["name"],
        is_atomic=is_atomic,
        model=fields["model"],
        schedule=read_schedule({"priority": fields["priority"] or None}, Schedule(priority=BULK)),
        webhook=fields["webhook"] or None,
        idempotency_key=_key(typed.lines, fields["model"], page=said),
        request_hash=_digest([typed.lines, said]),
    )


def _key(lines: str, model: str, *, page: str) -> str:
    """The keys of one file are neighbours, whichever page it was sent from."""
    return f"dashboard-{_digest([lines, model])}-{page}"


def _digest(said: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:_DIGITS]


async def _sent_before(look: Look, typed: Typed, new: NewBatch) -> Batch | None:
    """The newest batch of the very same lines, as long as its key is kept; not this page's own."""
    first, last = (_key(typed.lines, typed.fields["model"], page=digit * _DIGITS) for digit in "0f")
    found = await look.runtime.store.read(
        batches.newest_by_keys, tenant_id=new.tenant_id, first=first, last=last
    )
    return found if found and found.idempotency_key != new.idempotency_key else None


async def _start(look: Look, new: NewBatch, typed: Typed) -> Done:
    try:
        received = await receive(look.runtime, new, TextLines(typed.lines))
    except BeingSent:  # the first of two clicks
        return Done("The batch is being stored right now; it stands here in a moment.", go="/batches")
    batch = received.batch
    await look.runtime.store.write(
        keys.record_audit,
        tenant_id=new.tenant_id,
        actor=look.viewer.actor,
        action="create batch",
        subject=batch.id,
        now=look.now,
    )
    left_out = f", {count(len(received.rejected))} lines were left out" if received.rejected else ""
    return Done(f"The batch is stored: {count(batch.total)} jobs{left_out}.", go=f"/batches/{batch.id}")


def _shown(
    look: Look,
    typed: Typed,
    *,
    checked: Checked | None = None,
    earlier: Batch | None = None,
    errors: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    rejected = checked.rejected if checked else []
    known = {*_FIELDS, "file"}
    errors = dict(errors or {})
    return {
        "is_live": False,
        "typed": dict.fromkeys(_FIELDS, "") | typed.fields | {"once": new_id(look.now)},
        "lines": typed.lines,
        "checked": checked,
        "earlier": earlier,
        "good": checked.total - len(rejected) if checked else 0,
        "rejected": rejected[:_BAD_LINES_SHOWN],
        "further": max(0, len(rejected) - _BAD_LINES_SHOWN),
        "errors": errors,
        "trouble": " ".join(said for name, said in errors.items() if name not in known),
        "names": sorted({page.model for page in look.runtime.catalogue.pages if page.version == "v3"}),
    }
