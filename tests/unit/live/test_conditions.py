"""Conditional requests: lists of tags, weak ones, and *."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from geo2map.live.conditions import precondition_status

TAG = "a,b-1"


@pytest.mark.parametrize(
    ("header", "text", "status"),
    [
        ("if-none-match", f'"{TAG}"', 304),
        ("if-none-match", f'W/"{TAG}"', 304),
        ("if-none-match", f'"x", W/"y" ,"{TAG}"', 304),
        ("if-none-match", "*", 304),
        ("if-none-match", " * ", 304),
        ("if-none-match", '"a", "b-1"', 200),  # no halves of a tag with a comma
        ("if-none-match", TAG, 200),  # without its quotation marks it is none
        ("if-none-match", "", 200),
        ("if-match", f'"x", "{TAG}"', 200),
        ("if-match", "*", 200),
        ("if-match", f'W/"{TAG}"', 412),  # compared strongly
        ("if-match", '"x"', 412),
        ("range", "bytes=0-9", 200),
    ],
)
def test_what_a_condition_asks_for(header: str, text: str, status: int) -> None:
    assert precondition_status(Headers({header: text}), TAG) == status


def test_if_match_comes_first() -> None:
    assert precondition_status(Headers({"if-match": '"x"', "if-none-match": "*"}), TAG) == 412


def test_a_list_in_several_lines() -> None:
    raw = [(b"if-none-match", b'"x"'), (b"if-none-match", f'"{TAG}"'.encode())]
    assert precondition_status(Headers(raw=raw), TAG) == 304
