"""Waiting for something that another thread does, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which a test that waits has failed."""


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Returns once a condition holds.

    Raises:
        AssertionError: it does not within `patience` seconds.
    """
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"still waiting after {patience} s"
        time.sleep(0.005)


async def wait_until_async(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """The same in an event loop."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"still waiting after {patience} s"
        await asyncio.sleep(0.005)
