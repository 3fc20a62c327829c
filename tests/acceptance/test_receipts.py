"""Receipts in random order, some of them twice and some before their answers.

SENDSMSNOW_TEST_RECEIPTS=100000 pytest tests/acceptance/test_receipts.py -s: the long run.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.in_process import accept, states, working
from support.smsc import start_smsc

from sms_gateway.store import Store, tables

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once

RECEIPTS = int(os.environ.get("SENDSMSNOW_TEST_RECEIPTS", "1000"))


def messages() -> Iterator[tuple[str, str]]:
    for n in range(RECEIPTS):
        # A tenth twice, a tenth a little before the answer.
        word = {3: " #twice", 7: " #ahead:100"}.get(n % 10, "")
        yield f"+3247{n:07}", f"message {n}{word}"


@pytest.mark.timeout(1_800)
async def test_all_receipts_are_joined_in_whatever_order_they_come(
    store: Store, tmp_path: Path
) -> None:
    await accept(store, messages())
    with start_smsc(tmp_path, receipt_spread=1_500) as smsc:
        began = time.monotonic()
        async with working(store, f"{smsc.url}?window=200"):
            while states(store)["delivered"] < RECEIPTS:
                assert time.monotonic() < began + 1_700, states(store)
                await asyncio.sleep(0.1)
            while len(smsc.receipts()) < RECEIPTS * 11 // 10:
                await asyncio.sleep(0.2)
        submitted = [entry["id"] for entry in smsc.submits()]
        receipts = [entry["id"] for entry in smsc.receipts()]
    assert len(submitted) == len(set(submitted)) == len(set(receipts)) == RECEIPTS
    assert len(receipts) == RECEIPTS * 11 // 10
    place = {id: n for n, id in enumerate(submitted)}
    order = [place[id] for id in receipts]
    disorder = sum(later < earlier for earlier, later in itertools.pairwise(order))
    assert disorder > RECEIPTS // 4
    assert states(store) == {"delivered": RECEIPTS}
    with store.read() as connection:
        kept = connection.execute(select(func.count()).select_from(tables.early_receipt)).scalar()
        counted = connection.execute(
            select(tables.step.c.event, func.count()).group_by(tables.step.c.event)
        )
        steps = {row[0]: row[1] for row in counted}
    assert kept == 0
    # The second copy of a receipt adds nothing.
    assert steps == {"claimed": RECEIPTS, "submitted": RECEIPTS, "receipt": RECEIPTS}
    print(
        f"{len(receipts)} receipts joined in {time.monotonic() - began:.0f} s, {disorder} of them "
        f"after one of a later message, {RECEIPTS // 10} twice and as many before their answers"
    )
