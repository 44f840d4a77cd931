"""What the counters of batches say of failures, and when their rows are locked."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from orchestrator import lifecycle
from orchestrator.decision import Decide, Decision
from orchestrator.evidence import ErrorKind
from orchestrator.job import Attempt, Job, Reason
from orchestrator.store import tallies
from orchestrator.store.changes import Change, apply_changes
from orchestrator.store.store import Store
from tests.factories import T0, VIDEO_LANE, make_error, make_id
from tests.store import decisions
from tests.store.bulk import assert_counted, jobs_of, opened, running
from tests.store.claiming import add_ready, claim
from tests.store.locks import until_blocked


def failing(words: str) -> Decide:
    def decide(job: Job, _attempt: Attempt | None) -> Decision:
        error = make_error(ErrorKind.REJECTED, words)
        return Decision(note="failed", move=lifecycle.fail(job, Reason.REJECTED, error, now=T0))

    return decide


def cancelling(job: Job, _attempt: Attempt | None) -> Decision:
    error = make_error(ErrorKind.REJECTED, "cancelled")
    return Decision(note="cancelled", move=lifecycle.fail(job, Reason.CANCELLED, error, now=T0))


def change(job: Job, decide: Decide) -> Change:
    return Change(job_id=job.id, decide=decide, source="worker", event_id=make_id())


async def test_a_batch_shows_the_words_of_its_own_failures_though_others_failed_alike_at_once(
    store: Store,
) -> None:
    said = {}
    changes = []
    for words in ("the prompt 'mine' is refused", "the prompt 'theirs' is refused"):
        batch = await running(store, 1)
        said[batch.id] = words
        changes.append(change((await jobs_of(store, batch))[0], failing(words)))
    await store.write(apply_changes, changes=changes, now=T0, is_retry=False)
    kinds = set()
    for batch_id, words in said.items():
        (group,) = await store.read(tallies.failure_groups, batch=batch_id, most=10)
        assert (group["message"], group["count"]) == (words, 1)
        kinds.add(group["fingerprint"])
    assert len(kinds) == 1


async def test_a_retry_takes_failures_of_however_many_kinds_and_cancelled_ones_by_name_alone(
    store: Store,
) -> None:
    batch = await running(store, 113)
    cancelled, *failed = await jobs_of(store, batch)
    # Words alone make a kind, as digits do not.
    kinds = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(112)]
    changes = [change(job, failing(f"no {words}")) for job, words in zip(failed, kinds, strict=True)]
    await store.write(apply_changes, changes=changes, now=T0, is_retry=False)
    await store.write(apply_changes, changes=[change(cancelled, cancelling)], now=T0, is_retry=False)
    found = await store.read(tallies.failure_groups, batch=batch.id, most=1_000)
    assert len(found) == 113

    async def to_retry(fingerprint: str | None) -> int:
        return await store.read(tallies.to_retry, batch=batch.id, fingerprint=fingerprint)

    assert await to_retry(None) == 112
    assert {await to_retry(one["fingerprint"]) for one in found} == {1}
    assert await to_retry("0" * 16) == 0


async def test_a_claim_locks_no_batch_while_it_waits_for_a_share_that_another_writer_has(
    postgres_store: Store,
) -> None:
    """The writer has the share of the videos and waits for its first batch; then it needs the second one,
    of which the claim takes an image before it comes to the videos.
    """
    store = postgres_store
    first = await running(store, 1)
    images = await running(store, 2)
    videos = await opened(store, 1, job={"lane_id": VIDEO_LANE, "media": "video"})
    await add_ready(store, 1, lane_id=VIDEO_LANE, media="video")
    (image, _) = await jobs_of(store, images)
    changes = [
        change((await jobs_of(store, first))[0], decisions.fail),
        change((await jobs_of(store, videos))[0], decisions.release),
        change(image, decisions.fail),
    ]
    locked, release = asyncio.Event(), asyncio.Event()

    def hold(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM batches WHERE id = :id FOR UPDATE"), {"id": first.id})
        locked.set()
        await_only(release.wait())

    holding = asyncio.create_task(store.write(hold))
    await locked.wait()
    writing = asyncio.create_task(store.write(apply_changes, changes=changes, now=T0, is_retry=False))
    await until_blocked(store, 1)
    claiming = asyncio.create_task(claim(store))
    await until_blocked(store, 2)
    release.set()
    await asyncio.gather(holding, writing, claiming)
    for batch in (first, images, videos):
        await assert_counted(store, batch)


async def test_cancelled_jobs_are_counted_by_batch_apart_from_those_that_failed(store: Store) -> None:
    mixed, other = await running(store, 3), await running(store, 1)
    first, second, _ = await jobs_of(store, mixed)
    changes = [change(first, failing("no")), change(second, cancelling)]
    changes.append(change((await jobs_of(store, other))[0], failing("no")))
    await store.write(apply_changes, changes=changes, now=T0, is_retry=False)
    counted = await store.read(tallies.cancelled, batches=[mixed.id, other.id])
    assert (counted[mixed.id], counted[other.id]) == (1, 0)
