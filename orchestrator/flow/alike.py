"""Which tasks of the provider's history may be the one that a job in doubt asked for.

Pure. Compared by today's catalogue: it may have learned this model's defaults since the job was stored. The
provider may list more than it was sent: defaults that no page names, and the seed that it drew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.catalogue.catalogue import Catalogue
from orchestrator.flow.create import input_hash
from orchestrator.job import Job
from orchestrator.providers.base import PastTask


class Alike(msgspec.Struct, frozen=True):
    """Tasks that may be the job's, each in one list and oldest first; all others are surely not."""

    same: list[PastTask]
    """Of the same input."""
    fuller: list[PastTask]
    """Of the same input, and of more than was asked for."""
    strange: list[PastTask]
    """Of all that was asked for, but with another value where the model's page names a default."""

    @property
    def count(self) -> int:
        return len(self.same) + len(self.fuller) + len(self.strange)


def alike(catalogue: Catalogue, job: Job, inputs: Mapping[str, Any], tasks: Sequence[PastTask]) -> Alike:
    """The tasks, oldest first, that agree with what this job asked for."""
    found = Alike([], [], [])
    own = input_hash(catalogue, job.model, job.api_version, dict(inputs))
    filled = catalogue.canonical_input(job.model, job.api_version, inputs)
    for task in tasks:
        if task.inputs is None or not may_be(catalogue, job, inputs, task.inputs):
            continue
        if input_hash(catalogue, job.model, job.api_version, task.inputs) == own:
            found.same.append(task)
        elif may_be(catalogue, job, filled, task.inputs):
            found.fuller.append(task)
        else:
            found.strange.append(task)
    return found


def may_be(catalogue: Catalogue, job: Job, asked: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    """Whether a task of the job's model listed with these inputs may have been asked for with those."""
    return catalogue.agrees(job.model, job.api_version, asked=asked, listed=listed)
