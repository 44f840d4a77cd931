"""The command line of a user beside a stack: a folder of its own, each command a real process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.program import PROJECT, Program
from tests.e2e.stack import FLUX, Json, Stack, data_of

LONGEST_S = 60.0


@dataclass(frozen=True)
class Told:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both, for a test that does not care where."""
        return f"{self.out}\n{self.err}"


@dataclass(frozen=True)
class Shell:
    """`orchestrator` called in `folder`, with the key of the stack."""

    stack: Stack
    folder: Path

    async def batch(self, *words: str, **env: str) -> Told:
        return await self.call("batch", *words, **env)

    async def call(self, *words: str, **env: str) -> Told:
        """Wait for its end."""
        return await asyncio.to_thread(self._run, words, env)

    async def sent(self, *words: str) -> str:
        """The id of a batch that must be taken and is not waited for."""
        told = await self.batch(*words, "--no-wait")
        assert told.status == 0, told.said
        return told.out.strip()

    def started(self, *words: str) -> Program:
        """A command that the test will kill; what it says is in its log."""

        async def is_ready() -> bool:
            return True

        program = Program("command", ["orchestrator.cli", *words], self.folder, is_ready, self._env())
        program.spawn()
        return program

    def write(self, name: str, *lines: str) -> str:
        """A text file; its name."""
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return name

    def jsonl(self, *prompts: str, name: str = "b.jsonl", model: str = FLUX) -> str:
        """A batch of these prompts, `job1` and so on; its name."""
        lines = (
            json.dumps({"custom_id": f"job{number}", "model": model, "input": {"prompt": prompt}})
            for number, prompt in enumerate(prompts, start=1)
        )
        return self.write(name, *lines)

    def saved(self, folder: str) -> dict[str, int]:
        """What a batch left there: when each file was written, by its name."""
        found = (path for path in (self.folder / folder).iterdir() if not path.name.startswith("."))
        return {path.name: path.stat().st_mtime_ns for path in found}

    def results(self, folder: str) -> list[Json]:
        text = (self.folder / folder / "results.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    async def read(self, batch_id: str) -> Json:
        found: Json = data_of(await self.stack.http.get(f"/api/v3/batches/{batch_id}"))
        return found

    async def jobs(self, batch_id: str) -> list[Json]:
        found: list[Json] = data_of(await self.stack.http.get(f"/api/v3/batches/{batch_id}/jobs"))["items"]
        return found

    async def tasks(self, batch_id: str) -> list[Json]:
        """What the provider has made for a batch."""
        ids = {job["id"] for job in await self.jobs(batch_id)}
        return [task for task in await self.stack.tasks() if ids & set(task["webhook"].split("/"))]

    async def named(self, name: str) -> list[Json]:
        """The batches with this name, also while they are received."""
        asked = await self.stack.http.get("/api/v3/batches", params={"limit": 100})
        return [batch for batch in data_of(asked)["items"] if batch["name"] == name]

    def _env(self) -> dict[str, str]:
        home = {"HOME": str(self.folder / "home"), "COLUMNS": "100"}
        return {**home, "ORCHESTRATOR_URL": self.stack.url, "ORCHESTRATOR_API_KEY": self.stack.key}

    def _run(self, words: Sequence[str], env: dict[str, str]) -> Told:
        ended: subprocess.CompletedProcess[Any] = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *words],
            cwd=self.folder,
            env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT), **self._env(), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return Told(ended.returncode, ended.stdout, ended.stderr)
