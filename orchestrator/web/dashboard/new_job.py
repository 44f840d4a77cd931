"""A form for one job of any model: of its page in the catalogue, or of JSON where there is none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.datastructures import FormData

from orchestrator import strict_json
from orchestrator.catalogue.page import Page
from orchestrator.errors import InvalidInput, OrchestratorError, ProviderTrouble
from orchestrator.flow.create import NewJob, create
from orchestrator.flow.schedule import Schedule, read_schedule
from orchestrator.ids import new_id
from orchestrator.store import keys, views
from orchestrator.store.idempotency import Idempotency
from orchestrator.web.dashboard import model_form
from orchestrator.web.dashboard.file_upload import upload
from orchestrator.web.dashboard.forms import file_of, text_of
from orchestrator.web.dashboard.model_form import PREFIX
from orchestrator.web.dashboard.pages import Done, Look, Shown
from orchestrator.web.dashboard.words import words

FORM_LIMIT = 50 * 1024 * 1024
"""Of all files together; the API takes more."""
_MOST_MODELS = 60
_REST = ("json", "priority", "not_before", "webhook")
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_FILE = "file."


class Wanted(msgspec.Struct, frozen=True):
    """Which form: `page` is None for JSON; `rest` has what is typed besides the model's inputs."""

    model: str
    version: str
    page: Page | None
    typed: dict[str, str]
    rest: dict[str, str]


async def load(look: Look) -> Mapping[str, Any]:
    """`?model=&version=&as=json`, or `?like=` the id of a job that is to be changed and sent again."""
    like = look.asked("like")
    if like:
        return await _like(look, like)
    wanted = _wanted(look, look.asked("model"), look.asked("version"), is_json=look.asked("as") == "json")
    return _shown(look, wanted)


async def submit(look: Look, form: FormData) -> Done | Shown:
    """Stored as by the API; what was wrong stands at its field, and everything typed is still there."""
    model, version = text_of(form, "model").strip(), text_of(form, "version")
    wanted = _wanted(look, model, version, is_json=text_of(form, "as") == "json")
    typed = {name[len(PREFIX) :]: text_of(form, name) for name in form if name.startswith(PREFIX)}
    wanted = msgspec.structs.replace(wanted, typed=typed, rest={name: text_of(form, name) for name in _REST})
    digest = await _digest(form, wanted, once=text_of(form, "once"))
    try:
        look.runtime.catalogue.check_name(model, wanted.version, is_strict=False)
        await _upload(look, wanted, form)
        job_id = await _create(look, wanted, digest=digest)
    except InvalidInput as wrong:
        field = wrong.field.partition(".")[0].partition("[")[0]
        return Shown("new", _shown(look, wanted, errors={field: str(wrong).removeprefix(f"{wrong.field}: ")}))
    except OrchestratorError as refused:
        return Shown("new", _shown(look, wanted, errors={"": str(refused)}), status=refused.status)
    return Done("The job is stored and will be sent.", go=f"/jobs/{job_id}")


def _wanted(look: Look, model: str, version: str, *, is_json: bool) -> Wanted:
    catalogue = look.runtime.catalogue
    versions = (version,) if version in ("v2", "v3") else ("v3", "v2")
    page = next(filter(None, (catalogue.page(model, one) for one in versions)), None)
    found = page.version if page else versions[0]
    return Wanted(model, found, None if is_json else page, {}, {})


async def _upload(look: Look, wanted: Wanted, form: FormData) -> None:
    """Files first: their URLs then stand in their fields, whatever else is wrong. Raises InvalidInput."""
    for name in form:
        file = file_of(form, name)
        if file is None or not name.startswith(_FILE):
            continue
        field = name[len(_FILE) :]
        try:
            wanted.typed[field] = await upload(
                look.runtime, file, version=wanted.version, tenant_id=look.viewer.tenant_id
            )
        except ProviderTrouble as trouble:
            raise InvalidInput(field, f"could not be uploaded: {trouble}", cause=trouble.cause) from None


async def _digest(form: FormData, wanted: Wanted, *, once: str) -> str:
    """Of what was sent, before its files get URLs that differ each time; "" where no page of ours sent it."""
    files = []
    for name in form:
        file = file_of(form, name)
        if file is not None:
            files.append([name, hashlib.sha256(await file.read()).hexdigest()])
            await file.seek(0)
    said = [wanted.model, wanted.version, wanted.typed, wanted.rest, files, once]
    return hashlib.sha256(strict_json.encode(said)).hexdigest() if once else ""


async def _create(look: Look, wanted: Wanted, *, digest: str) -> str:
    """The id of the job; the same form sent twice, as by a double click, makes one. Raises InvalidInput."""
    try:
        inputs = (
            model_form.read(wanted.page, wanted.typed)
            if wanted.page
            else model_form.read_json(wanted.rest["json"])
        )
    except InvalidInput as wrong:
        raise wrong if wrong.field or wanted.page else InvalidInput("json", str(wrong)) from None
    runtime, tenant_id = look.runtime, look.viewer.tenant_id
    created = await create(
        runtime,
        NewJob(
            tenant_id=tenant_id,
            model=wanted.model,
            api_version=wanted.version,
            inputs=inputs,
            webhook=wanted.rest["webhook"].strip() or None,
            idempotency=Idempotency(f"dashboard-{digest}", digest) if digest else None,
            schedule=_schedule(wanted.rest),
        ),
    )
    await runtime.store.write(
        keys.record_audit,
        tenant_id=tenant_id,
        actor=look.viewer.actor,
        action="create job",
        subject=created.job.id,
        now=look.now,
    )
    return created.job.id


def _schedule(rest: Mapping[str, str]) -> Schedule:
    """Browsers send a time without its zone; the form says that it is UTC."""
    at = rest["not_before"].strip()
    if found := _LOCAL_TIME.fullmatch(at):
        at = f"{at}Z" if found[1] else f"{at}:00Z"
    given = {"priority": rest["priority"] or None, "not_before": at or None}
    return read_schedule(given, Schedule())


async def _like(look: Look, job_id: str) -> Mapping[str, Any]:
    found = await look.runtime.store.read(
        views.find_job, tenant_id=look.viewer.sees, job_id=job_id, with_input=True
    )
    if found is None:
        return _shown(look, _wanted(look, "", "", is_json=False), errors={"": "There is no such job."})
    job, inputs = found.job, strict_json.decode_object(found.input.encode())
    wanted = _wanted(look, job.model, job.api_version, is_json=False)
    known = {row.name for row in wanted.page.parameters} if wanted.page else set()
    if not inputs.keys() <= known:  # a form would lose what it has no field for
        text = msgspec.json.format(strict_json.encode(inputs), indent=2).decode()
        return _shown(look, msgspec.structs.replace(wanted, page=None, rest={"json": text}))
    return _shown(look, msgspec.structs.replace(wanted, typed=model_form.typed_of(inputs)))


def _shown(look: Look, wanted: Wanted, errors: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    fields = model_form.fields(wanted.page, wanted.typed) if wanted.page else []
    known = {field.name for field in fields} | {"model", *_REST}
    errors = dict(errors or {})
    told = [
        (f"{name}: {message}" if name not in known else f"{words(name).capitalize()} {message}.")
        if name and name != "json"
        else f"{message[:1].upper()}{message[1:]}{'.' if name else ''}"
        for name, message in errors.items()
    ]
    return {
        "is_live": False,
        "wanted": wanted,
        "fields": fields,
        "rest": dict.fromkeys(_REST, "") | wanted.rest,
        "errors": errors,
        "trouble": " ".join(told),
        "is_refused": look.request.method == "POST" and bool(errors),
        "models": _models(look, look.asked("find")),
        "names": sorted({page.model for page in look.runtime.catalogue.pages}),
        "is_rest_open": any(wanted.rest.get(name) for name in _REST[1:])
        or not errors.keys().isdisjoint(_REST[1:]),
        "once": new_id(look.now),
    }


def _models(look: Look, find: str) -> list[Page]:
    """Of each model the newest version, those whose name or type holds what is looked for."""
    newest = {
        page.model: page for page in sorted(look.runtime.catalogue.pages, key=lambda page: page.version)
    }
    words = find.lower().split()
    found = [page for page in newest.values() if all(word in _text(page) for word in words)]
    return sorted(found, key=lambda page: page.model)[:_MOST_MODELS]


def _text(page: Page) -> str:
    return f"{page.model} {page.name} {page.type}".lower()
