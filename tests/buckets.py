"""S3 on 127.0.0.1, for rooms of the tests that write to a bucket."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("obstore", reason="needs the extra [cloud]")
moto_server = pytest.importorskip("moto.server", reason="needs moto[server]")


@contextmanager
def moto(around: Callable[[Any], Any] = lambda application: application) -> Iterator[str]:
    """The address of moto's server.

    Args:
        around: wraps its WSGI application.
    """
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    server._server.app = around(server._server.app)
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_variables(address: str) -> dict[str, str]:
    """The environment by which a server is found."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": address,
        "AWS_ALLOW_HTTP": "true",
    }


def make_bucket(address: str, name: str) -> None:
    """An empty bucket; what the server held before is gone."""
    for method, place in (("POST", "moto-api/reset"), ("PUT", name)):
        urllib.request.urlopen(urllib.request.Request(f"{address}/{place}", method=method))
