"""Compression by gzip: its bytes."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from geo2map.files.gzipped import gzipped


@given(st.binary(max_size=200))
def test_the_header_names_no_time_and_no_system(data: bytes) -> None:
    packed = gzipped(data)
    assert packed[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + b"\x02\xff"
    assert gzip.decompress(packed) == data
