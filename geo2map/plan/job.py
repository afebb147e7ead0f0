"""A job: everything that an output depends on, as a value."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import rasterio

from geo2map.colour.palette import Palette
from geo2map.plan.storage import PRESENTATION, Storage
from geo2map.plan.value import Plan
from geo2map.scene import ReadingOptions, SceneIdentity
from geo2map.tiles.classes import code_legend
from geo2map.tiles.layer import MAP, Layer
from geo2map.tiles.tilejson import TileSet

LIBRARIES = ("geo2map", "numpy", "pillow", "rasterio", "scipy", "shapely")
"""Packages whose versions may change bits of the output; torch is added for networks."""
ANY_DEVICE = "auto"
"""Placeholder device of a job that is only compared, not run."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run as a value with a JSON form; excludes threads, batch size and the output's path.

    Attributes:
        scenes: the files read.
        reading: how they are read.
        plan: how they are rendered.
        storage: how tiles are stored, resolved.
        precision: number format of the network, "" without a model.
        device: device type, e.g. "cpu"; "" without a model; `ANY_DEVICE` before one is chosen.
        versions: library versions, by name.
        facts: additional metadata for the output's tilejson.json.
    """

    scenes: tuple[SceneIdentity, ...]
    reading: ReadingOptions
    plan: Plan
    storage: Storage
    precision: str = ""
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layers(self) -> dict[str, Layer]:
        """The layers of the output by name, the map first."""
        return {layer.name: layer for layer in self.storage.tile_layers}

    @property
    def block_layers(self) -> dict[str, Layer]:
        """The layers that blocks are rendered as, by name."""
        return {layer.name: layer for layer in self.storage.block_layers}

    @property
    def storage_layers(self) -> tuple[str, ...]:
        """Names of further layers."""
        return self.storage.layers

    @property
    def tileset(self) -> TileSet:
        """Metadata of the map. Holds no path and no time."""
        return self.tileset_of(self.layers[MAP])

    def tileset_of(self, layer: Layer) -> TileSet:
        """Metadata of a layer."""
        plan, storage = self.plan, self.storage
        assert storage.minzoom is not None, "the storage of a job is resolved"
        if layer.is_imagery:
            facts = {key: fact for key, fact in self.facts.items() if key == "scenes"}
            facts |= {"model": "", "plan": plan.untranslated().fingerprint}
        else:
            facts = {**self.facts, "model": plan.model, "plan": plan.fingerprint}
        if layer.legend is not None:
            facts["classes"] = code_legend(Palette(layer.legend))
        if storage.is_derived and storage.legend is not None:
            facts["legend"] = [[name, list(colour)] for name, colour in storage.legend]
        if layer.name == MAP and storage.is_derived and (style := storage.feature_style) is not None:
            facts["style"] = style.to_dict()
        if layer.unit:
            facts["unit"] = layer.unit
        if layer.name == MAP and storage.layers:
            facts["layers"] = list(storage.layers)
        return TileSet(plan.name, layer.codec.format, storage.minzoom, plan.maxzoom, plan.window, facts, storage.scheme)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over everything that affects the bytes of tiles. Files count by size and content, not by
        path and time, so that copies give the same job; presentation does not count."""
        values = self.to_dict()
        values["plan"].pop("notes")
        values["storage"] = {key: value for key, value in values["storage"].items() if key not in PRESENTATION}
        values["scenes"] = [[scene.size, scene.content] for scene in self.scenes]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: Job) -> list[str]:
        """Differences to another job, in words; empty if both give the same bytes."""
        return [*_scene_differences(self.scenes, other.scenes), *_value_differences(self, other)]

    def tile_differences(self, other: Job) -> list[str]:
        """The differences that affect tiles; with any others an interrupted run may be resumed."""
        found = _value_differences(self, other, passed_over=PRESENTATION)
        return [*_scene_differences(self.scenes, other.scenes), *found]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with any part of the job, presentation included."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def refusals(self, requested: Job) -> list[str]:
        """Differences between this finished job and a requested one, in words; ignores library versions, and the device
        if that is open."""
        return self.differences(self._with_open_values(requested))

    def tile_refusals(self, requested: Job) -> list[str]:
        """The refusals that affect tiles, not their presentation."""
        return self.tile_differences(self._with_open_values(requested))

    def _with_open_values(self, requested: Job) -> Job:
        device = self.device if requested.device == ANY_DEVICE else requested.device
        return replace(requested, device=device, versions=self.versions)

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Job:
        values = json.loads(text)
        return cls(
            scenes=tuple(SceneIdentity(**scene) for scene in values.pop("scenes")),
            reading=ReadingOptions(**values.pop("reading")),
            plan=Plan.from_dict(values.pop("plan")),
            storage=Storage(**values.pop("storage")),
            **values,
        )


def library_versions(translating: bool) -> dict[str, str]:
    """Versions of Python and of libraries that may change bits of the output, by name."""
    names = (*LIBRARIES, "torch") if translating else LIBRARIES
    found = {"python": ".".join(map(str, sys.version_info[:2])), "GDAL": rasterio.__gdal_version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # not installed by pip
            found[name] = "unknown"
    return found


def version_changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Changed library versions in words: "numpy 2.3, now 2.4"."""
    return tuple(
        f"{name} {before.get(name, 'unknown')}, now {now.get(name, 'unknown')}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )


def _scene_differences(before: tuple[SceneIdentity, ...], now: tuple[SceneIdentity, ...]) -> list[str]:
    if [scene.path for scene in before] != [scene.path for scene in now]:
        fresh = [scene.path for scene in now if scene.path not in {old.path for old in before}]
        gone = [scene.path for scene in before if scene.path not in {new.path for new in now}]
        words = [f"{path} was added" for path in fresh]
        words += [f"{path} was removed" for path in gone]
        return words or ["the order of the scenes changed"]
    return [said for old, new in zip(before, now, strict=True) if (said := old.difference(new))]


def _value_differences(before: Job, now: Job, passed_over: Sequence[str] = ()) -> list[str]:
    flat = [_flat({key: value for key, value in job.to_dict().items() if key != "scenes"}) for job in (before, now)]
    names = [name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)]
    names.sort(key=lambda name: name.startswith(_DERIVED))  # options before derived values
    ignored = ("plan.notes", *(f"storage.{name}" for name in passed_over))
    return [_say(name, flat[0].get(name), flat[1].get(name)) for name in names if not name.startswith(ignored)]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{path}{name}.")
        else:
            found[path + name] = value
    return found


_DERIVED = (
    *("plan.content", "plan.window", "plan.margin", "plan.neutral", "plan.noise", "plan.fill_radius"),
    *("plan.view.rendition", "storage.minzoom", "facts."),
)
_WORDS = {
    "plan.view.rendition.stretch": "the stretch",
    "plan.view.rendition.curves": "the colour match",
    "plan.content": "the pixels of the scene",
    "plan.window": "the area covered",
    "plan.aoi": "the area of interest",
    "plan.aoi.wkt": "the area of interest",
    "plan.neutral": "the model's neutral colour",
    "plan.noise": "the model's bands of noise",
}


def _say(name: str, before: object, now: object) -> str:
    word = _WORDS.get(name, name.rpartition(".")[2].replace("_", " "))
    if name.startswith("versions."):
        word = f"the version of {word}"
    if name in _WORDS or max(len(str(before)), len(str(now))) > 40:
        return f"{word} changed"
    return change_text(word, before, now)


def change_text(word: str, before: object, now: object) -> str:
    """The change of a setting in words, e.g. "bare was off and is on"."""
    return f"{word} was {_spell(before)} and is {_spell(now)}"


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not set" if value is None or value == "" else str(value)
