"""A database that loses the connection around a COMMIT: before it, so that nothing is stored, or after it,
so that everything is stored and nobody knows.
"""

from __future__ import annotations

from orchestrator.store.database import Database, T, Work
from orchestrator.store.trouble import CommitLost, DatabaseTrouble


class FaultyDatabase:
    """Passes everything on to a real database; the first writes lose their connection as told, and after
    a lost COMMIT so many more cannot reach it at all.
    """

    def __init__(self, database: Database, *, lost_before: int = 0, lost_after: int = 0) -> None:
        self.dialect = database.dialect
        self.lost_before = lost_before
        self.lost_after = lost_after
        self.then_away = 0
        self.away = 0
        """So many reads fail."""
        self._database = database

    async def write(self, work: Work[T]) -> T:
        if self.lost_before > 0:
            self.lost_before -= 1
            raise DatabaseTrouble(cause="lost before COMMIT")
        result = await self._database.write(work)
        if self.lost_after > 0:
            self.lost_after -= 1
            self.lost_before, self.then_away = self.then_away, 0
            raise CommitLost(cause="lost after COMMIT")
        return result

    async def read(self, work: Work[T]) -> T:
        if self.away > 0:
            self.away -= 1
            raise DatabaseTrouble(cause="it is away")
        return await self._database.read(work)

    async def close(self) -> None:
        await self._database.close()
