"""What can be wrong between us and the database, in words that say what a caller can do about it.

DatabaseTrouble           it cannot be reached right now: try again
├── TookTooLong           it took too long for this: try again
├── CommitLost            it may be stored or not: look before you repeat it
└── Overtaken             a younger transaction was faster: do it again in a new one
RowRefused                the tables refuse the row: do not try again
"""

from __future__ import annotations

import sqlite3

import asyncpg

from orchestrator.errors import Busy

_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError, asyncpg.IntegrityConstraintViolationError)
_WRONG = (sqlite3.ProgrammingError, asyncpg.SyntaxOrAccessError)
# A role without rights, or a root certificate that is not there: whoever looks after the server can mend it.
_CLOSED = (asyncpg.InsufficientPrivilegeError, asyncpg.ClientConfigurationError)
# Reached, and held up: by a lock of another's, or by more work than one statement has time for.
_SLOW = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)


class DatabaseTrouble(Busy):
    """The database cannot be reached right now; try again in a moment."""


class TookTooLong(DatabaseTrouble):
    """The database took too long for this; try again in a moment."""


class CommitLost(DatabaseTrouble):
    """The database went away while it stored this, so it may be stored or not: look before you repeat it."""


class Overtaken(DatabaseTrouble):
    """A younger transaction wrote one of these rows before this one came to it.

    The event log is in the order of transactions, and would tell the later move first: the work is done
    again in a new transaction.
    """


class RowRefused(Exception):
    """A constraint of the tables refused a row, such as an id of the provider's that is taken."""


def trouble_of(error: Exception) -> Exception:
    """One of these for an error of SQLAlchemy's or a driver's.

    A wrong statement is a defect of ours and stays what it is; most else is the database's trouble.
    """
    cause = cause_of(error)
    if isinstance(cause, _CLOSED):
        return DatabaseTrouble(cause=f"{type(cause).__name__}: {_words(cause)}")
    if isinstance(cause, _REFUSED) or _is_of_a_value(cause):
        return RowRefused(_words(cause))
    if isinstance(cause, _WRONG) or _is_of_a_statement(cause):
        return error
    kind = TookTooLong if isinstance(cause, _SLOW) else DatabaseTrouble
    return kind(cause=f"{type(cause).__name__}: {_words(cause)}")


def cause_of(error: BaseException) -> BaseException:
    """The driver's own error, inside those that SQLAlchemy makes of it."""
    while isinstance(inner := getattr(error, "orig", None), BaseException):
        error = inner
    return error


def _words(cause: BaseException) -> str:
    """Without what PostgreSQL adds to its message, which is the row itself."""
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror  # its first argument is a number
    return str(cause.args[0] if cause.args else cause)[:500]


def _is_of_a_statement(cause: BaseException) -> bool:
    """SQLite's driver calls a wrong statement an OperationalError, like a full disk."""
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _is_of_a_value(cause: BaseException) -> bool:
    """SQLSTATE class 22 (data exception), such as a text with NUL, and what asyncpg could not encode."""
    return (getattr(cause, "sqlstate", None) or "").startswith("22") or isinstance(cause, ValueError)
