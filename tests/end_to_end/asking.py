"""A client for ASGI apps, and what tests of the live server share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from waiting import PATIENCE

from geo2map import Engine
from geo2map.live import LiveMap, ServedSite
from geo2map.live.app import make_app
from geo2map.protocols import PixelTranslator
from geo2map.types import Batch


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")


def fetch_all(app: Any, paths: Sequence[str], headers: Mapping[str, str] | None = None) -> list[httpx.Response]:
    """All paths at once."""

    async def ask() -> list[httpx.Response]:
        async with client_of(app) as client:
            return list(await asyncio.gather(*(client.get(path, headers=headers, timeout=PATIENCE) for path in paths)))

    return asyncio.run(ask())


def fetch(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with client_of(app) as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=named, timeout=PATIENCE)

    return asyncio.run(ask())


def app_of(live: LiveMap, **options: Any) -> Any:
    return make_app(
        ServedSite(
            map=live.layers["map"], further={"source": live.layers["source"]}, live=live, tally=live.tally, **options
        )
    )


class CountingEngine(PixelTranslator):
    """An engine that counts the blocks it translates, and waits while it is held."""

    def __init__(self, engine: Engine, batch: int = 1) -> None:
        self._engine = engine
        self.card, self.device, self.precision, self.batch = engine.card, engine.device, engine.precision, batch
        self.batches: list[int] = []
        self.busy, self.going = threading.Event(), threading.Event()
        self.going.set()

    @property
    def translated(self) -> int:
        return sum(self.batches)

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        self.batches.append(len(batch))
        self.busy.set()
        assert self.going.wait(PATIENCE)
        return self._engine.translate_pixels(batch, margin)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The engine starts and does not end."""
        self.busy.clear()
        self.going.clear()
        try:
            yield
        finally:
            self.going.set()
