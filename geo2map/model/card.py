"""The card inside a model file: everything about the weights that a user must not have to type."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from geo2map.colour import ColourStatistics
from geo2map.errors import ModelFileError
from geo2map.palette import Palette

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a generator is, needs and was made of.

    Attributes:
        name: short name, e.g. "sat2map".
        architecture, config: what `geo2map.nn.build` takes.
        ground_resolution: metres per pixel on the ground of the training imagery.
        zoom: web-mercator zoom of the training imagery.
        margin: pixels of real context that make tiled output equal to whole output.
        size_multiple: blocks start and end on multiples of this many pixels of the global grid.
        exact: whether tiled equals whole at all; False for networks that look at the whole picture.
        colours: statistics of the training imagery (the input side).
        palette: the map style of the output, if it has one.
        bands, value_range: what the input bands are and how uint8 becomes the network's numbers.
        training, metrics: facts for people: data, command, seed, hardware; figures on held-out data.
        licence, limits: for people.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    ground_resolution: float
    zoom: int
    margin: int
    size_multiple: int
    colours: ColourStatistics
    exact: bool = True
    palette: Palette | None = None
    bands: tuple[str, ...] = ("red", "green", "blue")
    value_range: str = "uint8 0..255 to -1..1"
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    limits: str = ""

    def __post_init__(self) -> None:
        if self.ground_resolution <= 0 or self.margin < 0 or self.size_multiple < 1:
            raise ModelFileError(
                f"card of {self.name!r} says ground resolution {self.ground_resolution}, margin {self.margin}, "
                f"size multiple {self.size_multiple}: these cannot be; get the model file again"
            )

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        values = asdict(self) | {"format": FORMAT, "colours": self.colours.levels}
        values["palette"] = self.palette.entries if self.palette else None
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Reads what `to_json` wrote.

        Raises:
            ModelFileError: not a card, or of a newer format.
        """
        try:
            values = json.loads(text)
            if values.pop("format") > FORMAT:
                raise ModelFileError("the model's card is of a newer format: update geo2map")
            values["colours"] = ColourStatistics(tuple(tuple(band) for band in values["colours"]))
            entries = values.pop("palette")
            values["palette"] = Palette(tuple((name, tuple(colour)) for name, colour in entries)) if entries else None
            values["bands"] = tuple(values["bands"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"the model's card cannot be read ({error}): get the model file again") from error

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when anything about the model changes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]
