"""A server of the project's own in a thread, for rooms of the tests that look at one from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from geo2map.live.run import _listen, make_server


@contextmanager
def running(app: Any) -> Iterator[str]:
    """Its address."""
    with closing(_listen("127.0.0.1", 0)) as own:
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{own.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
