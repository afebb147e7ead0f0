"""The header of a .safetensors file, checked before anything of the file is loaded.

The format is eight bytes that say how long the header is, the header (JSON), and the tensors without gaps
(https://huggingface.co/docs/safetensors). Whatever a header claims, reading it takes no more memory than
`LARGEST_HEADER` allows, and what passes is no larger than the file itself.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST_HEADER = 2**20
"""Bytes of a header; those of the packaged models have some 20,000."""
MOST_TENSORS = 10_000
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
FLOATING = frozenset({"F64", "F32", "F16", "BF16"})


class HeaderError(ValueError):
    """What is wrong with a header, as half a sentence."""


@dataclass(frozen=True)
class TensorEntry:
    """A tensor's entry in a header.

    Attributes:
        dtype: as safetensors names it, e.g. "F16".
        shape: of the tensor.
        begin, end: its bytes, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of a .safetensors file: metadata and tensors, by name."""

    metadata: dict[str, str]
    tensors: dict[str, TensorEntry]


def read_header(path: Path) -> Header:
    """Reads and checks a header; the tensors it names fill the rest of the file exactly.

    Raises:
        HeaderError: anything else.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise HeaderError(f"its header claims {length:,} bytes, but the file has {size:,}")
        if length > LARGEST_HEADER:
            raise HeaderError(f"its header has {length:,} bytes, more than the {LARGEST_HEADER:,} that are read")
        text = file.read(length)
    entries = _parse(text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError("the metadata in its header are not texts")
    if len(entries) > MOST_TENSORS:
        raise HeaderError(f"its header names {len(entries):,} tensors, more than the {MOST_TENSORS:,} that are read")
    tensors = {name: _entry(name, entry) for name, entry in entries.items()}
    _require_filled(tensors, size - 8 - length)
    return Header(metadata, tensors)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except HeaderError:
        raise
    except (ValueError, RecursionError) as error:
        raise HeaderError("its header is not JSON") from error
    if not isinstance(entries, dict):
        raise HeaderError("its header is not a JSON object")
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no name may come twice: two readers could disagree on which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise HeaderError("a name comes twice in its header")
    return found


def _entry(name: str, entry: Any) -> TensorEntry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"its header does not describe tensor {name[:60]!r} by dtype, shape and offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise HeaderError(f"tensor {name[:60]!r} is of an unknown type ({str(dtype)[:20]})")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise HeaderError(f"the shape or the offsets of tensor {name[:60]!r} are not whole numbers from 0 on")
    begin, end = offsets
    needed = math.prod(shape) * ITEM_BYTES[dtype]
    if needed != end - begin:
        raise HeaderError(f"tensor {name[:60]!r} needs {needed:,} bytes by its shape, but has {end - begin:,}")
    return TensorEntry(dtype, tuple(shape), begin, end)


def _sizes(values: Any) -> bool:
    """Whether these are a few whole numbers from 0 on that 64 bits can hold."""
    return (
        isinstance(values, list)
        and len(values) <= 8
        and all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 for value in values)
    )


def _require_filled(tensors: dict[str, TensorEntry], available: int) -> None:
    reached = 0
    for name, entry in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != reached:
            fault = "overlaps the one before it" if entry.begin < reached else "leaves a gap before it"
            raise HeaderError(f"tensor {name[:60]!r} {fault}")
        reached = entry.end
    if reached != available:
        raise HeaderError(f"its tensors need {reached:,} bytes, but the file has {available:,} for them")
