"""gzip compression with a reproducible header: no time, no operating system."""

from __future__ import annotations

import gzip
import io


def gzipped(data: bytes) -> bytes:
    """Data compressed by gzip, with the same header in every Python version; up to 3.12, `gzip.compress` leaves the
    header to zlib, which writes the operating system into it."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()
