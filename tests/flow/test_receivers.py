"""Which hosts get a delivery now: one that is dead takes no place from another."""

from __future__ import annotations

from orchestrator import policy
from orchestrator.flow.receivers import Outcome, Receivers, Standing

LATER = policy.DELIVERY_PROMPT_S

MORE = ["a"] * (policy.DELIVERIES_PER_HOST + 1)
"""One more to a host than it may have at a time."""


def begun(receivers: Receivers, *hosts: str, now: float = 0.0, tag: str = "") -> list[str]:
    """The hosts of those that may begin, once they have begun."""
    waiting = [(f"{tag}{number}", host) for number, host in enumerate(hosts)]
    of = dict(waiting)
    chosen = receivers.choose(waiting, now)
    for identifier in chosen:
        receivers.begin(identifier, of[identifier], now)
    return [of[identifier] for identifier in chosen]


def knowing(*outcomes: Outcome, host: str = "a") -> Receivers:
    receivers = Receivers()
    for outcome in outcomes:
        receivers.learn(host, outcome, 0.0)
    return receivers


def test_a_host_gets_one_until_it_has_answered_and_its_share_then() -> None:
    assert begun(Receivers(), *"aaaaab") == ["a", "b"]
    assert begun(knowing(Outcome.ANSWERED), *MORE, "b") == [*MORE[1:], "b"]


def test_what_is_under_way_is_not_begun_again() -> None:
    receivers = knowing(Outcome.ANSWERED)
    assert begun(receivers, "a") == ["a"]
    assert begun(receivers, "a") == []


def test_what_is_answered_gives_its_place_back_but_is_not_begun_again_before_it_is_recorded() -> None:
    receivers = Receivers()
    begun(receivers, "a")
    receivers.free("0")
    assert receivers.closed_hosts(0.0) == []
    assert begun(receivers, "a") == []
    receivers.end("0")
    assert begun(receivers, "a") == ["a"]


def test_a_host_that_has_its_places_is_closed_until_one_ends() -> None:
    receivers = Receivers()
    begun(receivers, "a")
    assert receivers.closed_hosts(0.0) == ["a"]
    receivers.end("0")
    assert receivers.closed_hosts(0.0) == []


def test_after_five_failures_in_a_row_a_host_is_paused_longer_and_longer() -> None:
    receivers = knowing(Outcome.ANSWERED, *[Outcome.FAILED] * 4)
    pauses = []
    for _ in range(9):
        receivers.learn("a", Outcome.FAILED, 0.0)
        pauses.append(next(s for s in (1, 2, 4, 8, 16, 32, 60, 61) if receivers.closed_hosts(s) == []))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_its_pause_a_host_gets_one_at_a_time_until_it_answers() -> None:
    receivers = knowing(Outcome.ANSWERED, *[Outcome.FAILED] * 5)
    assert begun(receivers, *"aaa", now=0.9) == []
    assert begun(receivers, *"aaa", now=1.0) == ["a"]
    receivers.learn("a", Outcome.ANSWERED, 1.0)
    assert begun(receivers, *MORE, now=1.0, tag="next") == MORE[2:]


def test_silent_hosts_share_a_few_places_and_leave_the_others_alone() -> None:
    receivers = Receivers()
    silent = [f"silent-{number}" for number in range(50)]
    for host in silent:
        receivers.learn(host, Outcome.SILENT, 0.0)
    good = [f"good-{number}" for number in range(policy.DELIVERIES_PER_WORKER)]
    assert begun(receivers, *silent, *good) == [*silent[: policy.SILENT_DELIVERIES], *good]
    assert set(silent) <= set(receivers.closed_hosts(0.0))


def test_a_silent_host_that_answers_is_like_any_other() -> None:
    assert begun(knowing(Outcome.SILENT, Outcome.ANSWERED), *MORE) == MORE[1:]


def test_a_500_does_not_make_a_silent_host_any_better() -> None:
    assert begun(knowing(Outcome.ANSWERED, Outcome.SILENT, Outcome.FAILED), *"aaaaa") == ["a"]


def test_an_attempt_that_waits_gives_its_place_to_another() -> None:
    receivers = Receivers()
    hosts = [f"new-{number}" for number in range(40)]
    assert len(begun(receivers, *hosts)) == policy.DELIVERIES_PER_WORKER
    assert receivers.free_places(Standing.NEW, 0.0) == 0
    assert receivers.is_crowded(0.0)
    assert receivers.free_places(Standing.NEW, LATER) == policy.DELIVERIES_PER_WORKER
    assert not receivers.is_crowded(LATER)


def test_hosts_that_nobody_knows_take_no_place_of_those_that_answer() -> None:
    receivers = knowing(Outcome.ANSWERED, host="good")
    unknown = [f"new-{number}" for number in range(policy.DELIVERIES_PER_WORKER + 1)]
    assert begun(receivers, *unknown, "good") == [*unknown[:-1], "good"]


def test_the_open_hosts_are_those_that_are_known_and_have_a_place() -> None:
    receivers = knowing(Outcome.ANSWERED, host="good")
    receivers.learn("failing", Outcome.FAILED, 0.0)
    for number in range(policy.SILENT_DELIVERIES + 1):
        receivers.learn(f"silent-{number}", Outcome.SILENT, 0.0)
    assert len(receivers.open_hosts(0.0)) == policy.SILENT_DELIVERIES + 3
    begun(receivers, *(f"silent-{number}" for number in range(policy.SILENT_DELIVERIES)))
    assert receivers.open_hosts(0.0) == ["failing", "good"]
    begun(receivers, *(f"new-{number}" for number in range(policy.DELIVERIES_PER_WORKER)), tag="new-")
    assert receivers.open_hosts(0.0) == ["good"]
    begun(receivers, *["good"] * policy.DELIVERIES_PER_HOST, tag="good-")
    assert receivers.open_hosts(0.0) == []


def test_those_that_wait_are_bounded_too() -> None:
    receivers = Receivers()
    hosts = [f"new-{number}" for number in range(1_000)]
    total = sum(len(begun(receivers, *hosts, now=number * LATER, tag=f"{number}-")) for number in range(20))
    assert total == policy.DELIVERIES_OPEN
    assert receivers.free_places(Standing.NEW, 1_000.0) == 0


def test_only_so_many_hosts_are_remembered() -> None:
    receivers = knowing(Outcome.ANSWERED, host="first")
    for number in range(10_000):
        receivers.learn(f"host-{number}", Outcome.ANSWERED, 0.0)
    assert begun(receivers, *["first"] * 4) == ["first"]
    assert begun(receivers, *["host-0"] * 4, tag="next") == ["host-0"] * 4


def test_of_very_many_hosts_those_heard_of_last_are_looked_for() -> None:
    receivers = Receivers()
    for number in range(3_000):
        receivers.learn(f"host-{number}", Outcome.ANSWERED, 0.0)
    found = receivers.open_hosts(0.0)
    assert (len(found), found[0], found[-1]) == (1_000, "host-2999", "host-2000")
