"""A web server of one's own: serves a folder by byte ranges, counts, and fails as told; and a browser."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from browsing import SIZE, Visit, launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Fault = int | str
"""A status to answer with, or: "drop" the connection, "break off" in the middle of the body, "hang", "no ranges"."""


class Request(NamedTuple):
    method: str
    path: str
    range: str | None


class Web(ThreadingHTTPServer):
    """
    Attributes:
        requests: so far, in order.
        sent: bytes of bodies.
        fault: asked before each answer with the number of the request, counted from 1; None answers as one should.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.requests: list[Request] = []
        self.sent = 0
        self.fault: Callable[[int], Fault | None] = lambda _: None
        self.stopped = threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no error."""


class Handler(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append(Request(self.command, self.path, asked))
        fault = self.server.fault(len(self.server.requests))
        if fault == "drop":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            self.connection.close()
            self.close_connection = True
        elif fault == "hang":
            self.server.stopped.wait(60)
            self.close_connection = True
        elif isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_file(None if fault == "no ranges" else asked, broken=fault == "break off")

    def send_file(self, asked: str | None, broken: bool) -> None:
        path = self.server.root / self.path.split("?")[0].lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        with path.open("rb") as file:
            size = path.stat().st_size
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
            first, last = (int(found[1]), min(int(found[2] or size), size - 1)) if found else (0, size - 1)
            self.send_response(206 if found else 200)
            if found:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            file.seek(first)
            body = file.read(last - first + 1) if self.command == "GET" else b""
        self.wfile.write(body[: len(body) // 2] if broken else body)
        self.server.sent += len(body)
        self.close_connection = broken
        return None


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Serves the folder `served` of the test's own."""
    root = tmp_path / "served"
    root.mkdir()
    web = Web(root)
    threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()
    yield web
    web.stopped.set()
    web.shutdown()
    web.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """An empty page of its own."""
    context = browser.new_context(viewport=SIZE)
    yield Visit(context.new_page())
    context.close()
