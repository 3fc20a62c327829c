"""Code 6: the backend did not answer within the deadline."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from support.backends import OnlySends

from sms_gateway.accept.deadline import Deadline
from sms_gateway.backend import Reply, Submission
from sms_gateway.codes import Code


class Slow(OnlySends):
    """A backend that answers when it is told to."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.given: Submission | None = None

    async def sendsms(self, submission: Submission) -> Reply:
        self.given = submission
        await self.told.wait()
        return Reply(Code.SENT, 1, "0" * 32)


async def test_a_backend_that_does_not_answer_in_time_is_answered_for_with_code_6() -> None:
    backend = Deadline(Slow(), timedelta(milliseconds=10))
    assert await backend.sendsms(Submission("32494000000", "Hello", "key")) == Reply(Code.TIMED_OUT)


async def test_of_many_calls_each_is_answered_for() -> None:
    backend = Deadline(Slow(), timedelta(milliseconds=10))
    for _ in range(3):
        calls = [asyncio.create_task(backend.sendsms(Submission("", "", ""))) for _ in range(10)]
        await asyncio.sleep(0.002)
        calls += [asyncio.create_task(backend.sendsms(Submission("", "", ""))) for _ in range(10)]
        assert {reply.error for reply in await asyncio.gather(*calls)} == {Code.TIMED_OUT}


async def test_a_task_goes_on_after_it_was_answered_for() -> None:
    backend = Deadline(Slow(), timedelta(milliseconds=10))
    for _ in range(3):
        assert (await backend.sendsms(Submission("", "", ""))).error is Code.TIMED_OUT
        await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_client_that_leaves_when_time_is_over_is_not_answered_for() -> None:
    backend = Deadline(Slow(), timedelta(seconds=-1))
    task = asyncio.create_task(backend.sendsms(Submission("", "", "")))
    await asyncio.sleep(0)
    task.cancel()
    backend._end()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_answer_in_time_is_passed_on() -> None:
    slow = Slow()
    slow.told.set()
    backend = Deadline(slow, timedelta(minutes=1))
    reply = await backend.sendsms(Submission("32494000000", "Hello", "key", idempotency_key="once"))
    assert reply == Reply(Code.SENT, 1, "0" * 32)
    assert slow.given == Submission("32494000000", "Hello", "key", idempotency_key="once")


async def test_a_client_that_leaves_is_not_answered_for() -> None:
    task = asyncio.create_task(
        Deadline(Slow(), timedelta(minutes=1)).sendsms(Submission("", "", ""))
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class SlowSoon(Slow):
    """Keeps what it is to call with the reply."""

    def sendsms_soon(self, submission: Submission, then: Callable[[Reply], None]) -> bool:
        self.given = submission
        self.then = then
        return submission.apikey == "known"


@pytest.fixture
def slow() -> SlowSoon:
    return SlowSoon()


async def test_without_a_task_a_call_is_answered_for_once(slow: SlowSoon) -> None:
    backend = Deadline(slow, timedelta(milliseconds=10), send_soon=slow.sendsms_soon)
    replies: asyncio.Queue[Reply] = asyncio.Queue()
    for _ in range(3):
        submission = Submission("32494000000", "Hello", "known", idempotency_key="once")
        assert backend.sendsms_soon(submission, replies.put_nowait)
        assert slow.given is submission
        assert await replies.get() == Reply(Code.TIMED_OUT)
        slow.then(Reply(Code.SENT, 1, "0" * 32))  # too late
    assert replies.empty()


async def test_without_a_task_a_reply_in_time_is_passed_on(slow: SlowSoon) -> None:
    backend = Deadline(slow, timedelta(milliseconds=10), send_soon=slow.sendsms_soon)
    replies: list[Reply] = []
    assert backend.sendsms_soon(Submission("", "", "known"), replies.append)
    slow.then(Reply(Code.SENT, 1, "0" * 32))
    assert replies == [Reply(Code.SENT, 1, "0" * 32)]
    await asyncio.sleep(0.03)
    assert len(replies) == 1


async def test_a_call_that_is_not_taken_without_a_task_is_not_answered_for(slow: SlowSoon) -> None:
    backend = Deadline(slow, timedelta(milliseconds=10), send_soon=slow.sendsms_soon)
    replies: list[Reply] = []
    assert not backend.sendsms_soon(Submission("", "", "unknown"), replies.append)
    await asyncio.sleep(0.03)
    assert replies == []
