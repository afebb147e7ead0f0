"""Compression by gzip, without a clock and the system's number in the header."""

from __future__ import annotations

import gzip
import io


def gzipped(data: bytes) -> bytes:
    """Data compressed by gzip, the same bytes with every Python; `gzip.compress` took the header from zlib up to 3.12,
    which names the operating system in it."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()
