"""The table of ways out is made by these tests."""

import pytest
from support import tables


def pytest_configure(config: pytest.Config) -> None:
    tables.configure(config, "work/ways-out")
