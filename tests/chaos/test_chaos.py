"""A little of everything that `tox -e chaos` does, so that it works when it is wanted."""

import asyncio

import pytest
from support import databases

from . import rounds

# Its outcome does not hang on the version of Python.
pytestmark = pytest.mark.once


@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", databases.KINDS)
def test_no_book_disagrees_after_a_few_kills(database: str) -> None:
    told: list[str] = []
    good = asyncio.run(
        rounds.chaos(
            database=database, messages=300, kills=4, seed=1, rounds=1, pace=0.8, tell=told.append
        )
    )
    assert good, "\n".join(told)
    print("\n".join(told))
