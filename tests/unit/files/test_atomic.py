"""The operating system's errors in one sentence."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors


@pytest.mark.parametrize(("number", "said"), [(32, "open in another program"), (None, "choose a folder you may write")])
def test_windows_refuses_a_file_that_somebody_looks_at(number: int | None, said: str) -> None:
    error = PermissionError(errno.EACCES, "The process cannot access the file", "map.tif")
    if number is not None:
        error.winerror = number  # type: ignore[attr-defined, unused-ignore]
    with pytest.raises(OutputError, match=said), output_errors(Path("map.tif")):
        raise error
