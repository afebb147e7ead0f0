"""The card inside a model file: everything about the weights that a user should not have to type."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from geo2map.colour import ColourStatistics
from geo2map.colour.palette import Palette
from geo2map.colour.sketch import sketch_svg
from geo2map.errors import ModelFileError
from geo2map.files.notebook import notebook_html
from geo2map.grid import MOST_NOISE
from geo2map.types import Direction, Favours, Mode

FORMAT = 2
FAITHFUL_SIDE = 256
"""Side in px of the pictures that pix2pix was trained and tested on, and of a tile."""
MID_GREY = (128, 128, 128)
LARGEST_REACH = 4096
"""Margin and size multiple in px that a card may say: blocks of more would not fit into memory."""
_COARSEST = 1e6
DEEPEST_ZOOM = 30


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Describes a generator: its network, its input and its training.

    Attributes:
        name: short name, e.g. "sat2map".
        architecture, config: what `geo2map.families.build` takes.
        ground_resolution: metres per pixel on the ground of the training imagery.
        zoom: web-mercator zoom of the training imagery.
        margin: pixels of real context that make tiled output equal to whole output.
        size_multiple: blocks start and end on multiples of this many pixels of the global grid.
        exact: True: blocks get `margin` px of context, and tiled output equals whole output. False: every square of
            `size_multiple` px is translated by itself; all that networks can do whose norm looks at whole pictures.
        colours: statistics of the training imagery (the input side); None where nobody knows them.
        matching: how far a scene's colours are brought towards these where they differ, from 0 to 1, the whole way.
        palette: the map style of the output, if it has one.
        places: where the training pictures are from; empty where nobody noted it.
        resolutions: finest and coarsest ground resolution that training showed the network, metres per pixel.
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
    colours: ColourStatistics | None = None
    matching: float = 1.0
    exact: bool = True
    palette: Palette | None = None
    places: tuple[str, ...] = ()
    resolutions: tuple[float, float] | None = None
    bands: tuple[str, ...] = ("red", "green", "blue")
    value_range: str = "uint8 0..255 to -1..1"
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    limits: str = ""

    def __post_init__(self) -> None:
        if not (
            0 < self.ground_resolution < _COARSEST
            and _whole(self.zoom, 0, DEEPEST_ZOOM)
            and _whole(self.margin, 0, LARGEST_REACH)
            and _whole(self.size_multiple, 1, LARGEST_REACH)
            and _whole(self.noise, 0, MOST_NOISE)
            and 0 <= self.matching <= 1
        ):
            raise ModelFileError(
                f"the card of {self.name!r} says zoom {self.zoom}, ground resolution {self.ground_resolution}, margin "
                f"{self.margin}, size multiple {self.size_multiple}, {self.noise} bands of noise, matching "
                f"{self.matching}: these cannot be; get the model file again"
            )
        if not all(map(_positive, (self.certainty, self.temperature))):
            raise ModelFileError(
                f"the card of {self.name!r} says certainty {self.certainty}, temperature {self.temperature}: these "
                "cannot be; get the model file again"
            )
        if not self.exact and (self.margin, self.size_multiple) != (0, FAITHFUL_SIDE):
            raise ModelFileError(
                f"the card of {self.name!r} is not exact, but says margin {self.margin} and size multiple "
                f"{self.size_multiple}: only 0 and {FAITHFUL_SIDE} go with that; get the model file again"
            )

    def in_mode(self, mode: Mode | None) -> ModelCard:
        """The card of the same weights run in a mode; None is the card's own.

        "exact" is the mode of `exact` cards. "faithful" translates each 256 px tile by itself, as pix2pix was trained
        and tested: the pictures are those of the reference implementation's `eval`, and there are seams between them.

        Raises:
            ModelFileError: "exact" of a network that cannot.
        """
        if mode is None or (mode == "exact") == self.exact:
            return self
        if mode == "exact":
            raise ModelFileError(
                f"{self.name} has no mode exact: it normalises over whole pictures, so that no margin makes it "
                "seamless; leave mode out",
                option="mode",
            )
        return replace(self, exact=False, margin=0, size_multiple=FAITHFUL_SIDE)

    @property
    def noise(self) -> Any:
        """How many bands of noise the network takes after the three of the picture, see `geo2map.grid.add_noise`."""
        bands = self.config.get("in_channels", 3)
        return bands - 3 if isinstance(bands, int) else bands

    @property
    def direction(self) -> Direction:
        """What the generator makes of what: "a2b" a map of imagery, "b2a" imagery of a map."""
        return "b2a" if self.training.get("recipe", {}).get("direction") == "b2a" else "a2b"

    @property
    def legend_classes(self) -> tuple[str, ...] | None:
        """The class of each colour that the network scores; None of a network without scores or without classes."""
        legend = self.config.get("legend")
        if not legend or self.palette is None:
            return None
        numbers = self.palette.classify(np.array(legend, dtype=np.uint8))  # the palette may hold fewer colours
        return tuple(self.palette.classes[number] for number in numbers)

    @property
    def certainty(self) -> float:
        """What `geo2map.model.calibrate_model` multiplied the scores by; 1 where it did not."""
        return float(self._calibration.get("certainty", 1.0))

    @property
    def favours(self) -> dict[str, float]:
        """What it added to the scores of classes before."""
        return {str(name): float(more) for name, more in self._calibration.get("favour", {}).items()}

    @property
    def favours_elsewhere(self) -> Favours:
        """What a plan adds to the scores of classes, on top of `favours`, where colours differ from the training's."""
        found = self._calibration.get("elsewhere", {})
        return tuple(sorted((str(name), float(more)) for name, more in found.items()))

    @property
    def can_try(self) -> bool:
        """Whether a scene may show how far to match it: the network scores roads and water, and need not be matched."""
        return 0 < self.matching < 1 and {"road", "water"} <= set(self.legend_classes or ())

    @property
    def temperature(self) -> float:
        """What scores are divided by for a confidence; unless fitted, `certainty`."""
        return self.certainty if self.fitted_temperature is None else self.fitted_temperature

    @property
    def fitted_temperature(self) -> float | None:
        """The temperature at which confidence means what it says; None where nobody fitted it."""
        found = self._calibration.get("temperature")
        return None if found is None else float(found)

    @property
    def _calibration(self) -> dict[str, Any]:
        found: dict[str, Any] = self.training.get("calibration", {})
        return found

    @property
    def neutral(self) -> tuple[int, int, int]:
        """What stands for no data: a colour of the training imagery, see `ColourStatistics.neutral`, or mid grey."""
        return self.colours.neutral(self.direction) if self.colours else MID_GREY

    def _repr_html_(self) -> str:
        """For notebooks: a sketch in the colours of its maps, where it has a palette, beside what it is for."""
        entries = {
            "fingerprint": self.fingerprint,
            "makes": "maps from imagery" if self.direction == "a2b" else "imagery from maps",
            "scale": f"{self.ground_resolution:.3g} m per pixel (zoom {self.zoom})",
            "margin": f"{self.margin} px" if self.exact else "none: tile by tile, with seams",
            "classes": ", ".join(self.palette.classes) if self.palette else "",
            "places": ", ".join(self.places),
            "licence": self.licence,
        }
        picture = sketch_svg(self.palette, f"sketch in the colours of {self.name}") if self.palette else ""
        return notebook_html(self.name, entries.items(), picture=picture, remarks=[self.limits] if self.limits else [])

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        values = asdict(self) | {"format": FORMAT, "colours": self.colours.levels if self.colours else None}
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
            values["colours"] = _colours(values.pop("colours"))
            values["palette"] = _palette(values.pop("palette"))
            values["bands"] = tuple(values["bands"])
            values["places"] = tuple(values.get("places", ()))
            finest_coarsest = values.get("resolutions")
            values["resolutions"] = tuple(finest_coarsest) if finest_coarsest else None
            return cls(**_of_their_types(values))
        except ModelFileError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            found = " ".join(str(error).split())[:200]
            raise ModelFileError(f"the model's card cannot be read ({found}); get the model file again") from error

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when anything about the model changes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def identity(self) -> str:
        """Name and fingerprint: what plans and finished outputs record of the model."""
        return f"{self.name} {self.fingerprint}"


def split_identity(identity: str) -> tuple[str, str]:
    """Name and fingerprint of a `ModelCard.identity`."""
    name, _, fingerprint = identity.rpartition(" ")
    return name, fingerprint


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _positive(value: float) -> bool:
    return 0 < value < math.inf


def _colours(levels: Any) -> ColourStatistics | None:
    if not levels:
        return None
    if not all(isinstance(level, int | float) and 0 <= level <= 255 for band in levels for level in band):
        raise ValueError("colours are not levels from 0 to 255")
    return ColourStatistics(tuple(tuple(band) for band in levels))


def _palette(entries: Any) -> Palette | None:
    if not entries:
        return None
    if not all(isinstance(name, str) and all(_whole(level, 0, 255) for level in colour) for name, colour in entries):
        raise ValueError("the palette is not a list of names and levels from 0 to 255")
    return Palette(tuple((name, (red, green, blue)) for name, (red, green, blue) in entries))


def _of_their_types(values: dict[str, Any]) -> dict[str, Any]:
    """What was read from JSON, if texts are texts and tables are tables; the numbers are looked at by the card."""
    kinds = {str: ("name", "architecture", "value_range", "licence", "limits"), dict: ("config", "training", "metrics")}
    for kind, names in kinds.items():
        for name in names:
            if name in values and not isinstance(values[name], kind):
                raise ValueError(f"{name} is a {type(values[name]).__name__}")
    return values
