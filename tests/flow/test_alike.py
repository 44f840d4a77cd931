"""Which tasks of the provider's history are alike to a job in doubt, whatever was learned in between."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.evidence import Source, Status
from orchestrator.flow.alike import alike
from orchestrator.flow.create import NewJob, prepare
from orchestrator.providers.base import PastTask
from orchestrator.runtime import open_runtime
from orchestrator.settings import load
from orchestrator.store import schema
from orchestrator.store.database import open_database
from tests.factories import T0, TENANT, make_evidence, make_job

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
        found = alike(runtime.catalogue, creation.job, request.inputs, tasks)
    assert [task.provider_id for task in found.same] == ["task-1", "task-2"]


LEARNED = Catalogue().with_provider_models(MODELS_ANSWER)


@pytest.mark.parametrize(
    ("sent", "listed", "expected"),
    [
        ({"prompt": "a lake"}, {"prompt": "a lake"}, "same"),
        ({"prompt": "a lake"}, {"prompt": "a lake", "steps": 28.0, "image": None}, "same"),
        ({"prompt": "a lake", "steps": 28}, {"prompt": "a lake"}, "same"),
        ({"prompt": "a lake"}, {"prompt": "a lake", "output_format": "jpeg"}, "fuller"),
        ({"prompt": "a lake"}, {"prompt": "a lake", "seed": 417}, "fuller"),
        ({"prompt": "a lake", "seed": -1}, {"prompt": "a lake", "seed": 417}, "fuller"),
        ({"prompt": "a lake", "seed": -1}, {"prompt": "a lake"}, "fuller"),
        (
            {"prompt": "", "loras": [{"path": "a"}]},
            {"prompt": "", "loras": [{"path": "a", "scale": 1}]},
            "fuller",
        ),
        ({"prompt": "a lake"}, {"prompt": "a lake", "steps": 30}, "strange"),
        ({"prompt": "a lake"}, {"prompt": "a lake", "steps": 30, "seed": 417}, "strange"),
        ({"prompt": "a lake"}, {"prompt": "a sea", "seed": 417}, ""),
        ({"prompt": "a lake"}, {}, ""),
        ({"prompt": "a lake", "steps": 28}, {"prompt": "a lake", "steps": 30}, ""),
        ({"prompt": "a lake", "seed": 7}, {"prompt": "a lake", "seed": 417}, ""),
        ({"prompt": "a lake", "seed": 7}, {"prompt": "a lake"}, ""),
        ({"prompt": "a lake", "loras": []}, {"prompt": "a lake"}, ""),
        ({"prompt": "", "loras": ["a"]}, {"prompt": "", "loras": ["a", "b"]}, ""),
        ({"prompt": "", "loras": [{"path": "a"}]}, {"prompt": "", "loras": [{"scale": 1}]}, ""),
    ],
)
def test_a_task_that_is_listed_with_more_than_was_sent_may_be_the_one(
    sent: dict[str, Any], listed: dict[str, Any], expected: str
) -> None:
    found = alike(LEARNED, make_job(model=MODEL), sent, [past_task(1, **listed)])
    lists = {"same": found.same, "fuller": found.fuller, "strange": found.strange}
    assert [name for name, tasks in lists.items() if tasks] == [expected] * found.count
    assert found.count == bool(expected)
