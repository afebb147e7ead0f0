"""The description of a model file, for people and for programs. Needs no torch."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geo2map.errors import ModelFileError
from geo2map.families import find_family
from geo2map.model.card import ModelCard
from geo2map.model.file import load_header
from geo2map.model.registry import DATA, DEFAULT_MODEL

WIDTH, INDENT = 100, 15
_DTYPES = {"F16": "fp16", "F32": "fp32"}
"""Names of `geo2map.types.WeightsDtype` by those of safetensors."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class ModelDescription:
    """A model file's card, and what else can be seen without loading the weights.

    Attributes:
        path: of the file.
        card: in the file.
        parameters: how many numbers were learned.
        dtype: of these in the file, e.g. "fp16".
        bytes: size of the file.
    """

    path: Path
    card: ModelCard
    parameters: int
    dtype: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> ModelDescription:
        """Reads card and shapes.

        Raises:
            ModelFileError: not a model file.
        """
        header, card = load_header(path)
        learned = [entry for name, entry in header.tensors.items() if not name.endswith(STATISTICS)]
        dtypes = {entry.dtype for entry in learned}
        parameters = sum(math.prod(entry.shape) for entry in learned)
        return cls(
            path, card, parameters, "/".join(sorted(_DTYPES.get(kind, kind) for kind in dtypes)), path.stat().st_size
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields of the card and the others as JSON-able values."""
        values: dict[str, Any] = json.loads(self.card.to_json())
        values |= {
            "gflop_per_tile": round(self.gflop_per_tile, 3),
            "path": self.path.as_posix(),
            "fingerprint": self.card.fingerprint,
            "direction": self.card.direction,
            "default": self.is_default,
        }
        return values | {"parameters": self.parameters, "dtype": self.dtype, "bytes": self.bytes}

    @property
    def gflop_per_tile(self) -> float:
        """See `geo2map.families.Family.gflop_per_tile`.

        Raises:
            ModelFileError: nothing to be counted in the card.
        """
        try:
            return find_family(self.card.architecture).gflop_per_tile(self.card.config)
        except ValueError as error:
            raise ModelFileError(
                f"{self.path} has a card that describes no known network ({error}); get the model again"
            ) from error

    @property
    def line(self) -> str:
        """The model in one line."""
        default = " (default)" if self.is_default else ""
        return f"{self.path.stem}{default}: {self._purpose}, {self._scale}, {self._seams}, {self._size}"

    @property
    def is_default(self) -> bool:
        """Whether it is the model that is used where none is named."""
        return self.path.resolve() == (DATA / f"{DEFAULT_MODEL}.safetensors").resolve()

    @property
    def _purpose(self) -> str:
        return "maps from imagery" if self.card.direction == "a2b" else "imagery from maps"

    def __str__(self) -> str:
        card = self.card
        palette = card.palette.entries if card.palette else ()
        facts = {
            "file": str(self.path),
            "fingerprint": card.fingerprint,
            "architecture": f"{card.architecture}: {_listed(card.config)}",
            "size": self._size,
            "cost": f"{self.gflop_per_tile:.2f} GFLOP a tile of 256 px, margin {card.margin} px",
            "scale": self._scale,
            "places": ", ".join(card.places) or "not stated",
            "resolutions": "{:.2g} to {:.2g} m per pixel".format(*card.resolutions)
            if card.resolutions
            else "not stated",
            "output": self._seams,
            "colours": self._colours,
            "palette": ", ".join(f"{name} {_joined(colour)}" for name, colour in palette) or "none",
            "licence": card.licence or "not stated",
            "limits": card.limits or "not stated",
        }
        lines = [card.name, *(_entry(key, value) for key, value in facts.items())]
        lines += ["  training", *(_entry(f"  {key}", _text(value)) for key, value in card.training.items())]
        return "\n".join([*lines, *_metrics(card.metrics)])

    @property
    def _scale(self) -> str:
        return f"{self.card.ground_resolution:.3g} m per pixel (zoom {self.card.zoom})"

    @property
    def _size(self) -> str:
        return f"{self.parameters / 1e6:.2f} million parameters, {self.bytes / 1e6:.1f} MB, {self.dtype}"

    @property
    def _seams(self) -> str:
        if self.card.exact:
            return f"seamless with a margin of {self.card.margin} px"
        return f"tile by tile, {self.card.size_multiple} px each, with seams"

    @property
    def _colours(self) -> str:
        if self.card.colours is None:
            return "unknown: scenes are not matched"
        said = f"median {_joined(self.card.colours.median)}"
        if self.card.direction == "b2a":
            return said
        if self.card.can_try:
            return f"{said}; scenes of others are tried as they are, {self.card.matching:.0%} of the way, and all of it"
        return f"{said}; scenes of others are brought {self.card.matching:.0%} of the way"


def _entry(key: str, value: str) -> str:
    later = " " * (INDENT + 2)
    first = f"  {key}".ljust(INDENT + 1) + " "
    return textwrap.fill(value, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False).rstrip()


def _joined(values: Any) -> str:
    return "-".join(map(str, values))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in values.items())


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _listed(value)
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        return "; ".join(map(_listed, value))
    if isinstance(value, list) and value and all(isinstance(part, list) for part in value):
        return " ".join(map(_joined, value))
    return _joined(value) or "none" if isinstance(value, list | tuple) else str(value)


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    """A table: a row a figure, a column a protocol."""
    columns = {name: dict(_figures(value)) for name, value in metrics.items() if isinstance(value, Mapping)}
    if not columns:
        return [_entry("metrics", _listed(metrics) or "not measured")]
    rows = dict.fromkeys(key for column in columns.values() for key in column)
    wide = max(map(len, rows), default=0) + 4
    lines = ["metrics".ljust(wide) + "  ".join(columns)]
    for row in rows:
        cells = [f"{columns[name][row]:.4g}" if row in columns[name] else "-" for name in columns]
        cells = [cell.rjust(len(name)) for cell, name in zip(cells, columns, strict=True)]
        lines.append(f"  {row}".ljust(wide) + "  ".join(cells))
    return [f"  {line}" for line in lines]


def _figures(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested mappings, by their names joined by blanks."""
    for key, value in values.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _figures(value, f"{name} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value
