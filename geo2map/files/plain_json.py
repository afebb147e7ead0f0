"""Strict JSON, which has neither infinity nor NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def plain_json(value: Any, **options: Any) -> str:
    """A value as JSON, with null for numbers that JSON does not have.

    Args:
        options: of `json.dumps`.

    Raises:
        TypeError: not JSON-able.
    """
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
