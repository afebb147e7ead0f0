"""JSON has neither infinity nor what is no number."""

from __future__ import annotations

import json
import math

import pytest

from geo2map.files.plain_json import plain_json


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_what_is_no_number_is_null() -> None:
    value = {"a": math.inf, "b": [-math.inf, (math.nan, 1.5)], "c": {"d": math.nan}, "e": "Infinity", "f": None}
    found = json.loads(plain_json(value), parse_constant=_refuse)
    assert found == {"a": None, "b": [None, [None, 1.5]], "c": {"d": None}, "e": "Infinity", "f": None}


def test_what_cannot_be_spelled_is_an_error() -> None:
    with pytest.raises(TypeError):
        plain_json({"a": object()})
