"""Text files in any Unicode encoding: UTF-8 with or without a byte order mark, UTF-16, UTF-32."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes) -> str:
    """The text of a file, its line ends as `\\n`.

    Raises:
        UnicodeDecodeError: in none of these encodings, for instance in Latin-1, or not text at all.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _lines(data.decode(encoding))
    if data[1:2] == b"\0" and data[:1] != b"\0":  # PowerShell and some editors omit the mark
        return _lines(data.decode("utf-16-le"))
    text = data.decode("utf-8")
    if "\0" in text:
        raise UnicodeDecodeError("utf-8", data, text.index("\0"), text.index("\0") + 1, "zero byte in a text")
    return _lines(text)


def read_text_file(path: str | Path) -> str:
    """The text of a file, its line ends as `\\n`.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: as `decode_text`.
    """
    return decode_text(Path(path).read_bytes())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
