"""Code 6: the backend did not answer within the deadline."""

import asyncio
from datetime import timedelta

import pytest
from support.backends import OnlySends

from sms_gateway.accept.deadline import Deadline
from sms_gateway.backend import MessageStatus, OnReply, Reply, Submission
from sms_gateway.codes import Code

HELLO = Submission("32494000000", "Hello", "key", idempotency_key="once")
SENT, TOO_LATE = Reply(Code.SENT, 1, "0" * 32), Reply(Code.TIMED_OUT)


class Slow(OnlySends):
    """A backend that keeps what it is to call with the reply."""

    def __init__(self) -> None:
        self.given: list[tuple[Submission, OnReply]] = []

    def submit(self, submission: Submission, on_reply: OnReply) -> None:
        self.given.append((submission, on_reply))

    async def status(self, apikey: str, id: str) -> MessageStatus:
        await asyncio.sleep(0 if apikey == "quick" else 60)
        return MessageStatus(SENT)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def backend(slow: Slow) -> Deadline:
    return Deadline(slow, timedelta(milliseconds=10))


async def test_a_backend_that_does_not_answer_in_time_is_answered_for_with_code_6(
    backend: Deadline,
) -> None:
    assert await backend.sendsms(HELLO) == TOO_LATE


async def test_of_many_calls_each_is_answered_for(backend: Deadline) -> None:
    for _ in range(3):
        calls = [asyncio.create_task(backend.sendsms(HELLO)) for _ in range(10)]
        await asyncio.sleep(0.002)
        calls += [asyncio.create_task(backend.sendsms(HELLO)) for _ in range(10)]
        assert await asyncio.gather(*calls) == [TOO_LATE] * 20


async def test_each_is_answered_once(slow: Slow, backend: Deadline) -> None:
    replies: asyncio.Queue[Reply] = asyncio.Queue()
    for number in range(3):
        backend.submit(HELLO, replies.put_nowait)
        submission, on_reply = slow.given[number]
        assert submission is HELLO
        assert await replies.get() == TOO_LATE
        on_reply(SENT)  # which comes too late
    assert replies.empty()


async def test_a_reply_in_time_is_passed_on(slow: Slow, backend: Deadline) -> None:
    replies: list[Reply] = []
    backend.submit(HELLO, replies.append)
    ((_, on_reply),) = slow.given
    on_reply(SENT)
    assert replies == [SENT]
    await asyncio.sleep(0.03)
    assert len(replies) == 1


async def test_a_caller_that_leaves_is_not_answered_for_and_troubles_nobody(
    backend: Deadline,
) -> None:
    leaving, staying = (asyncio.create_task(backend.sendsms(HELLO)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == TOO_LATE
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_what_is_awaited_has_the_same_deadline(backend: Deadline) -> None:
    assert (await backend.status("slow", "")).reply == TOO_LATE
    assert (await backend.status("quick", "")).reply == SENT
    # The task goes on after it was answered for.
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
