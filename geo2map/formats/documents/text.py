"""Escapes arbitrary names for XML, HTML, JSON and file systems."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element, indent, tostring

from geo2map.errors import TileSetError
from geo2map.files.plain_text import plain_text

_IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&'\u2028\u2029"}
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*%#{}$\s\ufffd]+')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # reserved on Windows
_LONGEST = 80  # bytes of UTF-8; file names are limited to 255 with prefixes and suffixes


def unmarked(text: str) -> str:
    """Plain text of a possible HTML text such as an attribution: without tags, entities decoded."""
    if "<" not in text and "&" not in text:
        return text
    reader = _Words()
    reader.feed(text)
    reader.close()
    return " ".join("".join(reader.found).split())


class _Words(HTMLParser):
    """Collects the text between tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def file_stem(name: str) -> str:
    """A portable file name stem for a scene's name: not hidden, no separators, no device names.

    Letters of all scripts stay; separators of folders, queries, templates or words become "_"; never empty.
    """
    stem = _NOT_IN_NAMES.sub("_", plain_text(name)).strip("._ ")
    stem = stem.encode()[:_LONGEST].decode(errors="ignore").rstrip("._ ") or "map"
    return f"_{stem}" if _DEVICES.match(stem) else stem


def xml_bytes(root: Element, doctype: str = "") -> bytes:
    """An XML document as UTF-8, indented by two; text and attributes are escaped by the standard library.

    Texts must have gone through `plain_text`.
    """
    indent(root)
    return f"{doctype}{tostring(root, encoding='unicode')}\n".encode()


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """A JSON document as UTF-8, indented by two; lone surrogates are escaped.

    Raises:
        TileSetError: a value is not JSON-able.
    """
    return (_dumps(value, indent=2) + "\n").encode(errors="backslashreplace")


def script_json(value: Mapping[str, Any]) -> str:
    """JSON that is safe within `<script type="application/json">`: without "<", ">" or "&".

    Raises:
        TileSetError: a value is not JSON-able.
    """
    return plain_text(_dumps(value)).translate(_IN_SCRIPT)


def _dumps(value: Mapping[str, Any], **options: Any) -> str:
    try:
        return json.dumps(dict(value), ensure_ascii=False, allow_nan=False, **options)
    except (TypeError, ValueError) as error:
        raise TileSetError(f"facts: not JSON-able ({error}); use plain values") from error
