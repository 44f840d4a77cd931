"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.String(length=32).with_variant(sa.VARCHAR(length=32, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("max_in_flight", sa.Integer(), nullable=False),
        sa.Column("is_fixed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("trouble_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_table(
        "actions",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("verb", sa.String(length=8), nullable=False),
        sa.Column("matched", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("up_to", ID, nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (due_at IS NOT NULL)", name=op.f("ck_actions_due")),
        sa.CheckConstraint("(state = 'running') = (finished_at IS NULL)", name=op.f("ck_actions_ended")),
        sa.CheckConstraint("state IN ('running','stopped','finished')", name=op.f("ck_actions_state")),
        sa.CheckConstraint("verb IN ('redrive','cancel','dismiss','delete')", name=op.f("ck_actions_verb")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
    )
    op.create_index(
        "ix_actions_due",
        "actions",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_actions_tenant", "actions", ["tenant_id", "id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("input_hash", sa.String(length=32), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("is_adopted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_solo", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=12), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("check_at", sa.BigInteger(), nullable=True),
        sa.Column("checks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("empties", sa.Integer(), server_default="0", nullable=False),
        sa.Column("excerpt", sa.Text(), server_default="", nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "ended_at IS NULL OR check_at IS NULL", name=op.f("ck_attempts_checked_while_open")
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_attempts")),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_vacuum_threshold": 1000,
        },
    )
    op.create_index(
        "ix_attempts_checks",
        "attempts",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("check_at IS NOT NULL"),
        sqlite_where=sa.text("check_at IS NOT NULL"),
    )
    op.create_index(
        "ix_attempts_open",
        "attempts",
        ["account_id", "claimed_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_attempts_provider_id",
        "attempts",
        ["account_id", "provider_id"],
        unique=True,
        postgresql_where=sa.text("provider_id IS NOT NULL"),
        sqlite_where=sa.text("provider_id IS NOT NULL"),
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_object", "audit", ["object"], unique=False)
    op.create_index("ix_audit_tenant", "audit", ["tenant_id", "id"], unique=False)
    op.create_table(
        "batch_failures",
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "fingerprint", name=op.f("pk_batch_failures")),
    )
    op.create_table(
        "batches",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=True),
        sa.Column("receiver", ID, nullable=True),
        sa.Column("receiver_until", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("ending", sa.Integer(), server_default="0", nullable=False),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("webhook_scheme", sa.String(length=2), nullable=True),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("processing", sa.Integer(), server_default="0", nullable=False),
        sa.Column("completed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rejected", sa.Integer(), server_default="0", nullable=False),
        sa.Column("step", sa.String(length=8), nullable=True),
        sa.Column("step_line", sa.Integer(), server_default="0", nullable=False),
        sa.Column("step_fingerprint", sa.String(length=16), nullable=True),
        sa.CheckConstraint(
            "state IN ('receiving','open','paused','cancelling','discarded')", name=op.f("ck_batches_state")
        ),
        sa.CheckConstraint(
            "step IN ('release','hold','cancel','retry','discard')", name=op.f("ck_batches_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "ix_batches_finished",
        "batches",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
        sqlite_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_batches_receiving",
        "batches",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'receiving'"),
        sqlite_where=sa.text("state = 'receiving'"),
    )
    op.create_index(
        "ix_batches_step",
        "batches",
        ["id"],
        unique=False,
        postgresql_where=sa.text("step IS NOT NULL"),
        sqlite_where=sa.text("step IS NOT NULL"),
    )
    op.create_index("ix_batches_tenant", "batches", ["tenant_id", "id"], unique=False)
    op.create_index(
        "uq_batches_idempotency_key",
        "batches",
        ["tenant_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_table(
        "callbacks",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "attempt", "verdict", name=op.f("pk_callbacks")),
    )
    op.create_index(
        "ix_callbacks_doubted",
        "callbacks",
        ["last_at"],
        unique=False,
        postgresql_where=sa.text("verdict <> 'valid' OR excerpt <> ''"),
        sqlite_where=sa.text("verdict <> 'valid' OR excerpt <> ''"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("endpoint_id", ID, nullable=True),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("scheme", sa.String(length=2), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("phase", sa.String(length=12), nullable=True),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("because", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'pending') = (due_at IS NOT NULL)", name=op.f("ck_deliveries_due")),
        sa.CheckConstraint("scheme IN ('v1','v3')", name=op.f("ck_deliveries_scheme")),
        sa.CheckConstraint("state IN ('pending','delivered','dead')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("(job_id IS NULL) = (phase IS NULL)", name=op.f("ck_deliveries_phase")),
        sa.CheckConstraint(
            "coalesce(job_id, batch_id, endpoint_id) IS NOT NULL", name=op.f("ck_deliveries_told")
        ),
        sa.CheckConstraint("job_id IS NULL OR batch_id IS NULL", name=op.f("ck_deliveries_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(
        "ix_deliveries_batch",
        "deliveries",
        ["batch_id"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["tenant_id", "state", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'dead'"),
        sqlite_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_deliveries_dead_of_all",
        "deliveries",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'dead'"),
        sqlite_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_endpoint",
        "deliveries",
        ["endpoint_id", "id"],
        unique=False,
        postgresql_where=sa.text("endpoint_id IS NOT NULL"),
        sqlite_where=sa.text("endpoint_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_host",
        "deliveries",
        ["host", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_job",
        "deliveries",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("job_id IS NOT NULL"),
        sqlite_where=sa.text("job_id IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_notices",
        "deliveries",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("job_id IS NULL AND batch_id IS NULL"),
        sqlite_where=sa.text("job_id IS NULL AND batch_id IS NULL"),
    )
    op.create_index("ix_deliveries_tenant", "deliveries", ["tenant_id", "id"], unique=False)
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )
    op.create_table(
        "documents",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_documents")),
    )
    op.create_table(
        "events",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("xid", sa.BigInteger(), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("verb", sa.String(length=12), nullable=False),
        sa.Column("from_phase", sa.String(length=12), nullable=True),
        sa.Column("to_phase", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.CheckConstraint("(job_id IS NULL) <> (batch_id IS NULL)", name=op.f("ck_events_subject")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_events_batch",
        "events",
        ["batch_id"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_events_xid",
        "events",
        ["xid"],
        unique=False,
        postgresql_where=sa.text("xid IS NOT NULL"),
        sqlite_where=sa.text("xid IS NOT NULL"),
    )
    op.create_index(
        "ix_events_job",
        "events",
        ["job_id"],
        unique=False,
        postgresql_where=sa.text("job_id IS NOT NULL"),
        sqlite_where=sa.text("job_id IS NOT NULL"),
    )
    op.create_table(
        "figures",
        sa.Column("span", sa.String(length=8), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lane_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "span", "name", "at", "lane_id", "tenant_id", "bucket", name=op.f("pk_figures")
        ),
    )
    op.create_table(
        "followers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_followers")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("lane_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("api_version", sa.String(length=8), nullable=False),
        sa.Column("media", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("phase", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ending", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lost_leases", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("input_hash", sa.String(length=32), nullable=False),
        sa.Column("held_for", sa.String(length=8), nullable=True),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("custom_id", sa.Text(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("start_by", sa.BigInteger(), nullable=True),
        sa.Column("finish_by", sa.BigInteger(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True),
        sa.Column("dismissed_at", sa.BigInteger(), nullable=True),
        sa.Column("fingerprint", sa.String(length=16), nullable=True),
        sa.Column("webhook", sa.Text(), nullable=True),
        sa.Column("webhook_scheme", sa.String(length=2), nullable=True),
        sa.Column("answer_lost_at", sa.BigInteger(), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=True),
        sa.CheckConstraint("(phase = 'failed') = (reason IS NOT NULL)", name=op.f("ck_jobs_reason")),
        sa.CheckConstraint("(phase = 'held') = (held_for IS NOT NULL)", name=op.f("ck_jobs_held_for")),
        sa.CheckConstraint("(phase = 'submitting') = (lease_owner IS NOT NULL)", name=op.f("ck_jobs_leased")),
        sa.CheckConstraint(
            "(phase IN ('completed','failed')) = (finished_at IS NOT NULL)", name=op.f("ck_jobs_ended")
        ),
        sa.CheckConstraint(
            "phase IN ('held','ready','waiting','submitting','in_doubt','accepted','completed','failed')",
            name=op.f("ck_jobs_phase"),
        ),
        sa.CheckConstraint("(batch_id IS NULL) = (line IS NULL)", name=op.f("ck_jobs_line")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_vacuum_threshold": 1000,
        },
    )
    op.create_index(
        "ix_jobs_dead",
        "jobs",
        ["tenant_id", "phase", "id"],
        unique=False,
        postgresql_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
        sqlite_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_dead_of_all",
        "jobs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
        sqlite_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_fingerprint",
        "jobs",
        ["fingerprint", "id"],
        unique=False,
        postgresql_where=sa.text("fingerprint IS NOT NULL"),
        sqlite_where=sa.text("fingerprint IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_finished",
        "jobs",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
        sqlite_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_in_doubt",
        "jobs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("held_for = 'doubt'"),
        sqlite_where=sa.text("held_for = 'doubt'"),
    )
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        ["lane_id", "tenant_id", "priority", "id"],
        unique=False,
        postgresql_where=sa.text("phase = 'ready'"),
        sqlite_where=sa.text("phase = 'ready'"),
    )
    op.create_index("ix_jobs_tenant", "jobs", ["tenant_id", "id"], unique=False)
    op.create_index(
        "ix_jobs_unanswered",
        "jobs",
        ["request_hash"],
        unique=False,
        postgresql_where=sa.text("answer_lost_at IS NOT NULL"),
        sqlite_where=sa.text("answer_lost_at IS NOT NULL"),
    )
    op.create_index(
        "uq_jobs_custom_id",
        "jobs",
        ["batch_id", "custom_id"],
        unique=True,
        postgresql_where=sa.text("custom_id IS NOT NULL"),
        sqlite_where=sa.text("custom_id IS NOT NULL"),
    )
    op.create_index(
        "uq_jobs_line",
        "jobs",
        ["batch_id", "line"],
        unique=True,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("is_bell_up", sa.Boolean(), nullable=False),
        sa.Column("drains", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_processes")),
    )
    op.create_table(
        "rejected_lines",
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_rejected_lines")),
    )
    op.create_table(
        "shares",
        sa.Column("lane_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("virtual_time", sa.Float(), server_default="0", nullable=False),
        sa.Column("ready_from", ID, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "tenant_id", "priority", name=op.f("pk_shares")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "stages",
        sa.Column("lane_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("phase", sa.String(length=12), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "tenant_id", "phase", name=op.f("pk_stages")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "tenants",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), server_default="1", nullable=False),
        sa.Column("max_in_flight", sa.Integer(), nullable=True),
        sa.Column("max_queued", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("scheme", sa.String(length=2), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_because", sa.Text(), nullable=True),
        sa.CheckConstraint("scheme IN ('v1','v3')", name=op.f("ck_endpoints_scheme")),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_because IS NULL)", name=op.f("ck_endpoints_disabled")
        ),
        sa.CheckConstraint(
            "(old_secret IS NULL) = (old_secret_until IS NULL)", name=op.f("ck_endpoints_old_secret")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_endpoints_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_index("ix_endpoints_tenant", "endpoints", ["tenant_id", "id"], unique=False)
    op.create_table(
        "lanes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("media", sa.Text(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("is_fixed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("tokens_at", sa.BigInteger(), nullable=False),
        sa.Column("factor", sa.Float(), server_default="1", nullable=False),
        sa.Column("factor_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("virtual_time", sa.Float(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("stopped_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("callback_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("found_by_poll_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_lanes_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lanes")),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("is_link", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_sessions_key_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("lanes")
    op.drop_index("ix_endpoints_tenant", table_name="endpoints")
    op.drop_table("endpoints")
    op.drop_table("api_keys")
    op.drop_table("tenants")
    op.drop_table("stages")
    op.drop_table("shares")
    op.drop_table("rejected_lines")
    op.drop_table("processes")
    op.drop_index(
        "uq_jobs_line",
        table_name="jobs",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.drop_index(
        "uq_jobs_custom_id",
        table_name="jobs",
        postgresql_where=sa.text("custom_id IS NOT NULL"),
        sqlite_where=sa.text("custom_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_jobs_unanswered",
        table_name="jobs",
        postgresql_where=sa.text("answer_lost_at IS NOT NULL"),
        sqlite_where=sa.text("answer_lost_at IS NOT NULL"),
    )
    op.drop_index("ix_jobs_tenant", table_name="jobs")
    op.drop_index(
        "ix_jobs_ready",
        table_name="jobs",
        postgresql_where=sa.text("phase = 'ready'"),
        sqlite_where=sa.text("phase = 'ready'"),
    )
    op.drop_index(
        "ix_jobs_open",
        table_name="jobs",
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.drop_index(
        "ix_jobs_in_doubt",
        table_name="jobs",
        postgresql_where=sa.text("held_for = 'doubt'"),
        sqlite_where=sa.text("held_for = 'doubt'"),
    )
    op.drop_index(
        "ix_jobs_finished",
        table_name="jobs",
        postgresql_where=sa.text("finished_at IS NOT NULL"),
        sqlite_where=sa.text("finished_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_jobs_fingerprint",
        table_name="jobs",
        postgresql_where=sa.text("fingerprint IS NOT NULL"),
        sqlite_where=sa.text("fingerprint IS NOT NULL"),
    )
    op.drop_index(
        "ix_jobs_due",
        table_name="jobs",
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_jobs_dead_of_all",
        table_name="jobs",
        postgresql_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
        sqlite_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
    )
    op.drop_index(
        "ix_jobs_dead",
        table_name="jobs",
        postgresql_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
        sqlite_where=sa.text("phase = 'failed' AND reason <> 'cancelled' AND dismissed_at IS NULL"),
    )
    op.drop_table("jobs")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("followers")
    op.drop_table("figures")
    op.drop_index(
        "ix_events_job",
        table_name="events",
        postgresql_where=sa.text("job_id IS NOT NULL"),
        sqlite_where=sa.text("job_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_events_xid",
        table_name="events",
        postgresql_where=sa.text("xid IS NOT NULL"),
        sqlite_where=sa.text("xid IS NOT NULL"),
    )
    op.drop_index(
        "ix_events_batch",
        table_name="events",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.drop_table("events")
    op.drop_table("documents")
    op.drop_table("delivery_attempts")
    op.drop_index("ix_deliveries_tenant", table_name="deliveries")
    op.drop_index(
        "ix_deliveries_notices",
        table_name="deliveries",
        postgresql_where=sa.text("job_id IS NULL AND batch_id IS NULL"),
        sqlite_where=sa.text("job_id IS NULL AND batch_id IS NULL"),
    )
    op.drop_index(
        "ix_deliveries_job",
        table_name="deliveries",
        postgresql_where=sa.text("job_id IS NOT NULL"),
        sqlite_where=sa.text("job_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_deliveries_host",
        table_name="deliveries",
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_deliveries_endpoint",
        table_name="deliveries",
        postgresql_where=sa.text("endpoint_id IS NOT NULL"),
        sqlite_where=sa.text("endpoint_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_deliveries_due",
        table_name="deliveries",
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_deliveries_dead_of_all",
        table_name="deliveries",
        postgresql_where=sa.text("state = 'dead'"),
        sqlite_where=sa.text("state = 'dead'"),
    )
    op.drop_index(
        "ix_deliveries_dead",
        table_name="deliveries",
        postgresql_where=sa.text("state = 'dead'"),
        sqlite_where=sa.text("state = 'dead'"),
    )
    op.drop_index(
        "ix_deliveries_batch",
        table_name="deliveries",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.drop_table("deliveries")
    op.drop_index(
        "ix_callbacks_doubted",
        table_name="callbacks",
        postgresql_where=sa.text("verdict <> 'valid' OR excerpt <> ''"),
        sqlite_where=sa.text("verdict <> 'valid' OR excerpt <> ''"),
    )
    op.drop_table("callbacks")
    op.drop_index(
        "uq_batches_idempotency_key",
        table_name="batches",
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.drop_index("ix_batches_tenant", table_name="batches")
    op.drop_index(
        "ix_batches_step",
        table_name="batches",
        postgresql_where=sa.text("step IS NOT NULL"),
        sqlite_where=sa.text("step IS NOT NULL"),
    )
    op.drop_index(
        "ix_batches_receiving",
        table_name="batches",
        postgresql_where=sa.text("state = 'receiving'"),
        sqlite_where=sa.text("state = 'receiving'"),
    )
    op.drop_index(
        "ix_batches_finished",
        table_name="batches",
        postgresql_where=sa.text("finished_at IS NOT NULL"),
        sqlite_where=sa.text("finished_at IS NOT NULL"),
    )
    op.drop_table("batches")
    op.drop_table("batch_failures")
    op.drop_index("ix_audit_tenant", table_name="audit")
    op.drop_index("ix_audit_object", table_name="audit")
    op.drop_table("audit")
    op.drop_index(
        "uq_attempts_provider_id",
        table_name="attempts",
        postgresql_where=sa.text("provider_id IS NOT NULL"),
        sqlite_where=sa.text("provider_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_attempts_open",
        table_name="attempts",
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(
        "ix_attempts_checks",
        table_name="attempts",
        postgresql_where=sa.text("check_at IS NOT NULL"),
        sqlite_where=sa.text("check_at IS NOT NULL"),
    )
    op.drop_table("attempts")
    op.drop_index("ix_actions_tenant", table_name="actions")
    op.drop_index(
        "ix_actions_due",
        table_name="actions",
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_table("actions")
    op.drop_table("accounts")
