"""Looks into the orchestrator's own database behind its back, and moves due times forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from orchestrator.ids import key_digest, key_prefix, new_id
from orchestrator.store.database import Database, open_database
from orchestrator.store.trouble import DatabaseTrouble

T = TypeVar("T")


class Ledger:
    """The database of one stack, PostgreSQL or SQLite."""

    def __init__(self, url: str) -> None:
        self._database: Database = open_database(url, pool_size=2)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        def ask(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

        return await self.ask(ask)

    async def ask(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    async def one(self, statement: str, **values: Any) -> Any:
        """The first column of the first row."""
        (row, *_) = await self.rows(statement, **values)
        return next(iter(row.values()))

    async def change(self, statement: str, **values: Any) -> int:
        """How many rows were changed. The server locks rows in an order of its own: where it and this wait
        for each other, PostgreSQL ends one of them, and this one tries again.
        """
        while True:
            try:
                return await self._database.write(
                    lambda connection: connection.execute(text(statement), values).rowcount
                )
            except DatabaseTrouble as trouble:
                if "deadlock" not in trouble.cause:
                    raise

    async def count_jobs(self) -> int:
        return int(await self.one("SELECT count(*) FROM jobs"))

    async def count_unanswered(self) -> int:
        """Jobs whose client went away before its answer began."""
        return int(await self.one("SELECT count(*) FROM jobs WHERE answer_lost_at IS NOT NULL"))

    async def make_check_due(self, job_id: str) -> None:
        """The next look at the provider is now, and not when the schedule says."""
        await self.change(
            "UPDATE attempts SET check_at = 1 WHERE job_id = :job AND check_at IS NOT NULL", job=job_id
        )

    async def make_checks_due(self) -> None:
        """The same for all jobs."""
        await self.change("UPDATE attempts SET check_at = 1 WHERE check_at IS NOT NULL")

    async def end_backoff(self, job_id: str) -> None:
        await self.change("UPDATE jobs SET due_at = 1 WHERE id = :job AND phase = 'waiting'", job=job_id)

    async def end_lease(self, job_id: str) -> None:
        await self.change("UPDATE jobs SET due_at = 1 WHERE id = :job AND phase = 'submitting'", job=job_id)

    async def make_account_check_due(self) -> None:
        await self.change("UPDATE accounts SET checked_at = 0")

    async def pause_lanes(self) -> None:
        """No job is claimed until `calm_lanes`."""
        await self.change(
            "UPDATE lanes SET paused_until = 9999999999999, pause_reason = 'a test' WHERE media <> 'poll'"
        )

    async def calm_lanes(self) -> None:
        """As if nothing had ever gone wrong."""
        await self.change("UPDATE lanes SET paused_until = 0, failures = 0, factor = 1, found_by_poll_at = 0")

    async def hasten_deliveries(
        self, hastened: set[tuple[str, int]], *, failures: int | None = None, **of: str
    ) -> None:
        """Those that wait for another attempt get it now, each attempt once: one that is under way would be
        made a second time. With `failures` as if so many had gone before.
        """
        ((column, value),) = of.items()
        waiting = await self.rows(
            "SELECT id, failures FROM deliveries"
            f" WHERE state = 'pending' AND failures > 0 AND {column} = :value",
            value=value,
        )
        for one in waiting:
            counted = one["failures"] if failures is None else failures
            if (one["id"], one["failures"]) in hastened:
                continue
            hastened |= {(one["id"], one["failures"]), (one["id"], counted)}
            await self.change(
                "UPDATE deliveries SET due_at = 1, failures = :counted WHERE id = :id AND state = 'pending'",
                id=one["id"],
                counted=counted,
            )

    async def add_tenant(
        self,
        key: str,
        *,
        scopes: str = "read submit",
        expires_at: int | None = None,
        max_queued: int | None = None,
    ) -> str:
        """Another tenant with this key; answers its id."""
        tenant = new_id(1)
        await self.change(
            "INSERT INTO tenants (id, name, max_queued, created_at) VALUES (:id, :name, :most, 1)",
            id=tenant,
            name=tenant,
            most=max_queued,
        )
        await self.change(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, digest, scopes, created_at, expires_at)"
            " VALUES (:id, :tenant, 'another', :prefix, :digest, :scopes, 1, :expires)",
            id=new_id(1),
            tenant=tenant,
            prefix=key_prefix(key),
            digest=key_digest(key),
            scopes=scopes,
            expires=expires_at,
        )
        return tenant

    async def close(self) -> None:
        await self._database.close()
