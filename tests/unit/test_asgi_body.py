"""A body comes as a client likes, and has an end all the same."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from sms_gateway.network.asgi_body import MAX_PIECES, PATIENCE, UnusableError, receive_body


class Pieces:
    """What a server hands over, and how much of it was taken; then nothing comes."""

    def __init__(self, pieces: Iterable[bytes], *, ends: bool = True) -> None:
        self.taken = 0
        self._messages = self._told([*pieces], ends)

    async def _told(self, pieces: list[bytes], ends: bool) -> AsyncIterator[dict[str, Any]]:
        for number, piece in enumerate(pieces, 1):
            self.taken += len(piece)
            more = not ends or number < len(pieces)
            yield {"type": "http.request", "body": piece, "more_body": more}
        await asyncio.Event().wait()

    async def __call__(self) -> dict[str, Any]:
        return await anext(self._messages)


@pytest.mark.parametrize(
    "pieces", [[b""], [b"abcdef"], [bytes([n]) for n in b"abcdef"], [b"", b"abc", b"", b"def"]]
)
async def test_a_body_is_whole_however_it_is_cut(pieces: list[bytes]) -> None:
    assert await receive_body(Pieces(pieces), most=6) == b"".join(pieces)


@pytest.mark.parametrize(
    ("pieces", "ends", "status"),
    [
        ([b"abcdefg"], True, 413),
        ([b"abc", b"defg"], True, 413),
        ([b"abcdef"] * (PATIENCE + 5), False, 413),
        ([b""] * (MAX_PIECES + 1), False, 400),
        ([b"abc"], False, 408),
        ([], False, 408),
    ],
)
async def test_a_body_has_an_end(pieces: list[bytes], ends: bool, status: int) -> None:
    coming = Pieces(pieces, ends=ends)
    with pytest.raises(UnusableError) as caught:
        await receive_body(coming, most=6, seconds=0.2)
    assert caught.value.status == status
    # A body that is too large is read on for a while, so that its client reads the answer.
    assert coming.taken <= 6 * PATIENCE + 6


async def test_a_client_that_hangs_up_has_not_sent_its_request() -> None:
    messages: Iterator[dict[str, Any]] = iter([
        {"type": "http.request", "body": b"abc", "more_body": True},
        {"type": "http.disconnect"},
    ])  # fmt: skip

    async def receive() -> dict[str, Any]:
        return next(messages)

    with pytest.raises(UnusableError) as caught:
        await receive_body(receive)
    assert caught.value.status == 408
