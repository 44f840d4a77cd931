"""The tables, for PostgreSQL and SQLite alike; migrations/ builds exactly these (a test compares).

Times are whole milliseconds since 1970 UTC in columns named `_at` (and `_by` for deadlines).
Documents are JSON text, kept byte for byte; only a person who looks for words has some thousands of them
searched by the database. The rows of a job have no foreign keys: PostgreSQL would lock the referenced row
for each insert, and those rows (lane, tenant) are the hot ones; `store/retention.py` is the one place that
deletes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Ids are UUIDv7 as 32 hex characters. The C collation makes their comparison a plain byte compare.
Id = String(32).with_variant(postgresql.VARCHAR(32, collation="C"), "postgresql")
# PostgreSQL keeps room on each page so that an update of a hot row stays on its page (HOT).
_HOT = {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_threshold": 1_000}

_DEAD = "phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"


def _where(condition: str) -> dict[str, Any]:
    """A partial index on both databases."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


tenants = Table(
    "tenants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("weight", Float, nullable=False, server_default="1"),
    # Null means that only the account's own limits count.
    Column("max_in_flight", Integer),
    Column("max_queued", Integer),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key_id", Id, ForeignKey("api_keys.id"), nullable=False),
    # A link logs in once.
    Column("is_link", Boolean, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("max_in_flight", Integer, nullable=False),
    # An operator has set the limit: the settings of a process that starts do not change it.
    Column("is_fixed", Boolean, nullable=False, server_default=false()),
    # Why no job is sent with this credential, in words for the operator; null when it works.
    Column("trouble", Text),
    Column("trouble_at", BigInteger),
    Column("checked_at", BigInteger, nullable=False, server_default="0"),
    # No open attempt was claimed before. Those that ended stay in an index for a while, and as long as
    # anybody's old transaction lasts.
    Column("open_from", BigInteger, nullable=False, server_default="0"),
)

lanes = Table(
    "lanes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("media", Text, nullable=False),
    Column("per_minute", Integer, nullable=False),
    Column("is_fixed", Boolean, nullable=False, server_default=false()),
    Column("tokens", Float, nullable=False),
    Column("tokens_at", BigInteger, nullable=False),
    Column("factor", Float, nullable=False, server_default="1"),
    Column("factor_at", BigInteger, nullable=False, server_default="0"),
    Column("virtual_time", Float, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("paused_until", BigInteger, nullable=False, server_default="0"),
    Column("pause_reason", Text),
    # An operator's own pause, which no answer of the provider lifts.
    Column("stopped_until", BigInteger, nullable=False, server_default="0"),
    Column("stop_reason", Text),
    Column("callback_at", BigInteger, nullable=False, server_default="0"),
    Column("found_by_poll_at", BigInteger, nullable=False, server_default="0"),
)

shares = Table(
    "shares",
    metadata,
    Column("lane_id", Text, nullable=False),
    Column("tenant_id", Id, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("virtual_time", Float, nullable=False, server_default="0"),
    # No ready job of this share has a smaller id: a claim starts here and not among the dead rows
    # of the index that an old transaction keeps PostgreSQL from removing.
    Column("ready_from", Id, nullable=False, server_default=""),
    PrimaryKeyConstraint("lane_id", "tenant_id", "priority"),
    postgresql_with={"fillfactor": 50},
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("api_version", String(8), nullable=False),
    Column("media", String(8), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("phase", String(12), nullable=False),
    Column("reason", String(12)),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("ending", Integer, nullable=False, server_default="0"),
    Column("lost_leases", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("input_hash", String(32), nullable=False),
    # What a held job waits for: its batch, or a person because it is in doubt.
    Column("held_for", String(8)),
    # The batch that it belongs to, its place in it, and the client's own name for it there.
    Column("batch_id", Id),
    Column("line", Integer),
    Column("custom_id", Text),
    Column("not_before", BigInteger),
    Column("due_at", BigInteger),
    Column("start_by", BigInteger),
    Column("finish_by", BigInteger),
    Column("lease_owner", Text),
    Column("started_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("cancel_requested_at", BigInteger),
    Column("dismissed_at", BigInteger),
    # Equal for failures of the same kind; null unless failed.
    Column("fingerprint", String(16)),
    Column("webhook", Text),
    # How that webhook is signed and told; null is the usual one of its kind.
    Column("webhook_scheme", String(2)),
    # When the client went away before its answer began, and the hash of the request that was not answered.
    Column("answer_lost_at", BigInteger),
    Column("request_hash", String(64)),
    CheckConstraint(
        "phase IN ('held','ready','waiting','submitting','in_doubt','accepted','completed','failed')",
        name="phase",
    ),
    CheckConstraint("(phase IN ('completed','failed')) = (finished_at IS NOT NULL)", name="ended"),
    CheckConstraint("(phase = 'failed') = (reason IS NOT NULL)", name="reason"),
    CheckConstraint("(phase = 'submitting') = (lease_owner IS NOT NULL)", name="leased"),
    CheckConstraint("(batch_id IS NULL) = (line IS NULL)", name="line"),
    CheckConstraint("(phase = 'held') = (held_for IS NOT NULL)", name="held_for"),
    Index("ix_jobs_ready", "lane_id", "tenant_id", "priority", "id", **_where("phase = 'ready'")),
    Index("ix_jobs_due", "due_at", **_where("due_at IS NOT NULL")),
    Index("ix_jobs_open", "tenant_id", **_where("finished_at IS NULL")),
    # Dead letters: of a tenant, of all tenants, and those of one kind. Only jobs that fail pay for these.
    # SQLite takes the index of which more columns are given, and would else walk over all of a tenant's.
    Index("ix_jobs_dead", "tenant_id", "phase", "id", **_where(_DEAD)),
    Index("ix_jobs_dead_of_all", "id", **_where(_DEAD)),
    Index("ix_jobs_fingerprint", "fingerprint", "id", **_where("fingerprint IS NOT NULL")),
    Index("ix_jobs_in_doubt", "id", **_where("held_for = 'doubt'")),
    Index("ix_jobs_finished", "finished_at", **_where("finished_at IS NOT NULL")),
    Index("ix_jobs_unanswered", "request_hash", **_where("answer_lost_at IS NOT NULL")),
    Index("ix_jobs_tenant", "tenant_id", "id"),
    Index("uq_jobs_line", "batch_id", "line", unique=True, **_where("batch_id IS NOT NULL")),
    Index("uq_jobs_custom_id", "batch_id", "custom_id", unique=True, **_where("custom_id IS NOT NULL")),
    postgresql_with=_HOT,
)

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("model", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The request that made it: its key, what it asked for, and all bytes of its body once they came.
    Column("idempotency_key", Text),
    Column("request_hash", String(64), nullable=False),
    Column("body_hash", String(64)),
    # The request that is sending lines now, until then at the latest.
    Column("receiver", Id),
    Column("receiver_until", BigInteger),
    Column("opened_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Column("ending", Integer, nullable=False, server_default="0"),
    Column("webhook", Text),
    Column("webhook_scheme", String(2)),
    # Its jobs by public state: always what a count of the rows would give.
    Column("created", Integer, nullable=False, server_default="0"),
    Column("processing", Integer, nullable=False, server_default="0"),
    Column("completed", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    # What is being done to all of its jobs, a few lines at a time, and how far that has come.
    Column("step", String(8)),
    Column("step_line", Integer, nullable=False, server_default="0"),
    Column("step_fingerprint", String(16)),
    CheckConstraint("state IN ('receiving','open','paused','cancelling','discarded')", name="state"),
    CheckConstraint("step IN ('release','hold','cancel','retry','discard')", name="step"),
    Index(
        "uq_batches_idempotency_key",
        "tenant_id",
        "idempotency_key",
        unique=True,
        **_where("idempotency_key IS NOT NULL"),
    ),
    Index("ix_batches_tenant", "tenant_id", "id"),
    Index("ix_batches_step", "id", **_where("step IS NOT NULL")),
    Index("ix_batches_receiving", "id", **_where("state = 'receiving'")),
    Index("ix_batches_finished", "finished_at", **_where("finished_at IS NOT NULL")),
    postgresql_with={"fillfactor": 50},
)

batch_failures = Table(
    "batch_failures",
    metadata,
    Column("batch_id", Id, nullable=False),
    Column("fingerprint", String(16), nullable=False),
    Column("reason", String(12), nullable=False),
    # The words of one of them.
    Column("message", Text, nullable=False),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("batch_id", "fingerprint"),
)

rejected_lines = Table(
    "rejected_lines",
    metadata,
    Column("batch_id", Id, nullable=False),
    Column("line", Integer, nullable=False),
    Column("custom_id", Text),
    Column("field", Text, nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("batch_id", "line"),
)

documents = Table(
    "documents",
    metadata,
    Column("job_id", Id, primary_key=True),
    Column("input", Text, nullable=False),
    Column("ending", Text),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    Column("input_hash", String(32), nullable=False),
    Column("provider_id", Text),
    Column("is_adopted", Boolean, nullable=False, server_default=false()),
    Column("is_solo", Boolean, nullable=False, server_default=false()),
    Column("sent_at", BigInteger),
    Column("answered_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("ended_by", String(12)),
    Column("outcome", String(16)),
    Column("check_at", BigInteger),
    Column("checks", Integer, nullable=False, server_default="0"),
    Column("empties", Integer, nullable=False, server_default="0"),
    Column("excerpt", Text, nullable=False, server_default=""),
    Column("result", Text),
    PrimaryKeyConstraint("job_id", "number"),
    CheckConstraint("ended_at IS NULL OR check_at IS NULL", name="checked_while_open"),
    Index(
        "uq_attempts_provider_id",
        "account_id",
        "provider_id",
        unique=True,
        **_where("provider_id IS NOT NULL"),
    ),
    # By time, so that a group of claims is written to few pages; a hash would need one for each.
    Index("ix_attempts_open", "account_id", "claimed_at", **_where("ended_at IS NULL")),
    Index("ix_attempts_checks", "check_at", **_where("check_at IS NOT NULL")),
    postgresql_with=_HOT,
)

events = Table(
    "events",
    metadata,
    # The order of insertion. On SQLite that of the commits too, and never given out twice.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # The transaction that wrote it, on PostgreSQL alone: `store/event_log.py` says what for.
    Column("xid", BigInteger),
    Column("id", Id, nullable=False),
    # What it happened to: a job, or a batch as a whole.
    Column("job_id", Id),
    Column("batch_id", Id),
    Column("tenant_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("verb", String(12), nullable=False),
    Column("from_phase", String(12)),
    Column("to_phase", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("source", String(12), nullable=False),
    Column("because", Text, nullable=False),
    CheckConstraint("(job_id IS NULL) <> (batch_id IS NULL)", name="subject"),
    Index("ix_events_job", "job_id", **_where("job_id IS NOT NULL")),
    Index("ix_events_batch", "batch_id", **_where("batch_id IS NOT NULL")),
    Index("ix_events_xid", "xid", **_where("xid IS NOT NULL")),
    sqlite_autoincrement=True,
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("excerpt", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "attempt", "verdict"),
    # Those that were not believed: rightly signed ones keep an excerpt only when nobody could read them.
    Index("ix_callbacks_doubted", "last_at", **_where("verdict <> 'valid' OR excerpt <> ''")),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),
    # Separated by spaces.
    Column("events", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("scheme", String(2), nullable=False),
    # Encrypted; after a rotation the old secrets, each with its own time, sign as well until then at most.
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    # The first failed attempt since something was delivered.
    Column("failing_since", BigInteger),
    Column("disabled_at", BigInteger),
    Column("disabled_because", Text),
    CheckConstraint("scheme IN ('v1','v3')", name="scheme"),
    CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name="old_secret"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_because IS NULL)", name="disabled"),
    Index("ix_endpoints_tenant", "tenant_id", "id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    # `{job}-{ending}` or `{batch}-{ending}`, and the endpoint and event where it goes to one: the same end
    # is told once.
    Column("id", Text, primary_key=True),
    Column("job_id", Id),
    Column("batch_id", Id),
    Column("endpoint_id", Id),
    Column("tenant_id", Id, nullable=False),
    Column("event", Text, nullable=False),
    Column("scheme", String(2), nullable=False),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),
    # What is told, kept as it was: the job itself may have been redriven since.
    Column("phase", String(12)),
    Column("ending", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("finished_at", BigInteger),
    # Why it died where no attempt says so.
    Column("because", Text),
    CheckConstraint("state IN ('pending','delivered','dead')", name="state"),
    CheckConstraint("(state = 'pending') = (due_at IS NOT NULL)", name="due"),
    CheckConstraint("job_id IS NULL OR batch_id IS NULL", name="subject"),
    CheckConstraint("coalesce(job_id, batch_id, endpoint_id) IS NOT NULL", name="told"),
    CheckConstraint("(job_id IS NULL) = (phase IS NULL)", name="phase"),
    CheckConstraint("scheme IN ('v1','v3')", name="scheme"),
    Index("ix_deliveries_due", "due_at", **_where("due_at IS NOT NULL")),
    Index("ix_deliveries_host", "host", "due_at", **_where("due_at IS NOT NULL")),
    Index("ix_deliveries_tenant", "tenant_id", "id"),
    Index("ix_deliveries_dead", "tenant_id", "state", "id", **_where("state = 'dead'")),
    Index("ix_deliveries_dead_of_all", "id", **_where("state = 'dead'")),
    # The same by when they died: those of a day are counted among those of years.
    Index("ix_deliveries_died", "tenant_id", "state", "finished_at", **_where("state = 'dead'")),
    Index("ix_deliveries_died_of_all", "state", "finished_at", **_where("state = 'dead'")),
    Index("ix_deliveries_job", "job_id", **_where("job_id IS NOT NULL")),
    Index("ix_deliveries_batch", "batch_id", **_where("batch_id IS NOT NULL")),
    Index("ix_deliveries_endpoint", "endpoint_id", "id", **_where("endpoint_id IS NOT NULL")),
    Index("ix_deliveries_notices", "finished_at", **_where("job_id IS NULL AND batch_id IS NULL")),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text, nullable=False),
    PrimaryKeyConstraint("delivery_id", "number"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant_id", Id, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", String(64), nullable=False),
    # Of a job, or of whatever else a request makes: under another name, servers of the version before would
    # not find it while they are still running.
    Column("job_id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Index("ix_audit_tenant", "tenant_id", "id"),
    Index("ix_audit_object", "object"),
    # The only lines that are forgotten: found without a walk over all the others.
    Index("ix_audit_deleted_tasks", "id", **_where("action = 'delete task'")),
)

actions = Table(
    "actions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    # Whose jobs it may touch; null for an operator's, which may touch all.
    Column("owner_id", Id),
    Column("actor", Text, nullable=False),
    Column("verb", String(8), nullable=False),
    # The ids, or the filter that they match, as JSON; and how far it has come in them.
    Column("matched", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=""),
    # No job made later is touched.
    Column("up_to", Id, nullable=False),
    Column("per_minute", Integer),
    # How many there were when it was ordered; null where that was too many to count.
    Column("expected", Integer),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("state", String(8), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("finished_at", BigInteger),
    CheckConstraint("verb IN ('redrive','cancel','dismiss','delete')", name="verb"),
    CheckConstraint("state IN ('running','stopped','finished')", name="state"),
    CheckConstraint("(state = 'running') = (due_at IS NOT NULL)", name="due"),
    CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="ended"),
    Index("ix_actions_due", "due_at", **_where("due_at IS NOT NULL")),
    Index("ix_actions_tenant", "tenant_id", "id"),
)

figures = Table(
    "figures",
    metadata,
    # A minute, a quarter or an hour, and when it began.
    Column("span", String(8), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("lane_id", Text, nullable=False),
    Column("tenant_id", Id, nullable=False),
    # In the order of its bytes: asked for by what it begins with.
    Column("name", String(24).with_variant(String(24, collation="C"), "postgresql"), nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("span", "name", "at", "lane_id", "tenant_id", "bucket"),
)

stages = Table(
    "stages",
    metadata,
    # How many jobs are in this phase, as far as the event log has been counted.
    Column("lane_id", Text, nullable=False),
    Column("tenant_id", Id, nullable=False),
    Column("phase", String(12), nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("lane_id", "tenant_id", "phase"),
    postgresql_with={"fillfactor": 50},
)

followers = Table(
    "followers",
    metadata,
    # How far somebody has read the event log.
    Column("name", Text, primary_key=True),
    Column("place", Text, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("is_bell_up", Boolean, nullable=False),
    # When each of its drains last ended a round, as JSON.
    Column("drains", Text, nullable=False),
    # Where clients find it; empty for a worker.
    Column("url", Text, nullable=False, server_default=""),
)
