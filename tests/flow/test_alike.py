"""Which tasks of the provider's history are alike to a job in doubt, whatever was learned in between."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.evidence import Source, Status
from orchestrator.flow.create import NewJob, prepare
from orchestrator.flow.resolve import _alike
from orchestrator.providers.base import PastTask
from orchestrator.runtime import open_runtime
from orchestrator.settings import load
from orchestrator.store import schema
from orchestrator.store.checks import Check
from orchestrator.store.database import open_database
from tests.factories import T0, TENANT, make_attempt, make_evidence

MODEL = "acme/new-model"
SCHEMA = {
    "type": "object",
    "required": ["prompt"],
    "properties": {"prompt": {"type": "string"}, "steps": {"type": "integer", "default": 28}},
}
MODELS_ANSWER = {
    "code": 200,
    "data": [
        {
            "model_id": MODEL,
            "type": "text-to-image",
            "api_schema": {"api_schemas": [{"type": "model_run", "request_schema": SCHEMA}]},
        }
    ],
}


def past_task(number: int, **inputs: Any) -> PastTask:
    task = f"task-{number}"
    evidence = make_evidence(Status.COMPLETED, Source.HISTORY, provider_id=task)
    return PastTask(provider_id=task, model=MODEL, created_at=T0, inputs=inputs, evidence=evidence)


async def test_a_job_stored_before_its_model_was_learned_finds_its_task(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orchestrator.db'}"
    database = open_database(url)
    await database.write(schema.upgrade)
    await database.close()
    async with AsyncExitStack() as stack:
        runtime = await open_runtime(
            load(database_url=url, secret="the secret of the tests is long enough"), stack
        )
        request = NewJob(tenant_id=TENANT, model=MODEL, api_version="v3", inputs={"prompt": "a lake"})
        creation = prepare(runtime, request)
        await runtime.store.create(creation)
        before = creation.job.input_hash
        runtime.catalogue = Catalogue().with_provider_models(MODELS_ANSWER)
        assert prepare(runtime, request).job.input_hash != before
        tasks = [past_task(1, prompt="a lake"), past_task(2, prompt="a lake", steps=28)]
        tasks += [past_task(3, prompt="a lake", steps=30), past_task(4, prompt="a sea")]
        check = Check(creation.job, make_attempt(creation.job))
        found = _alike(runtime, check, dict(request.inputs), tasks)
    assert [task.provider_id for task in found] == ["task-1", "task-2"]
