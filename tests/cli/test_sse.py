"""Server-Sent Events as the commands read them, by the rules of the HTML standard."""

from __future__ import annotations

from orchestrator.cli.sse import Message, parse


def messages(text: str) -> list[Message]:
    return list(parse(line.encode() for line in text.split("\n")))


def test_a_message_has_an_id_a_name_and_data() -> None:
    (message,) = messages('id: 1-2\nevent: job.failed\ndata: {"a":1}\n\nx')
    assert message == Message("1-2", "job.failed", b'{"a":1}')


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert messages(": still here\nretry: 1000\nid: 7\n\nx")[0] == Message("7", "", b"")


def test_an_id_stands_until_the_next_one() -> None:
    assert [one.id for one in messages("id: 1\n\ndata: x\n\nid: 2\n\nx")] == ["1", "1", "2"]


def test_lines_of_data_are_joined_and_ends_of_lines_may_have_a_return() -> None:
    assert messages("data: a\r\ndata:b\r\n\r\nx") == [Message("", "", b"a\nb")]


def test_a_message_that_is_cut_short_is_left_out() -> None:
    assert messages("event: job.failed\ndata: {}") == []
