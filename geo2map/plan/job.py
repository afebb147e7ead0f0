"""A job: a run as a value, all that its output depends on; another job is another output."""

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
"""Packages whose versions may change a bit of the output; torch comes on top where a network runs."""
ANY_DEVICE = "auto"
"""The device of a job that is not to run: it is left open where it would."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run does. A value with a JSON form; says nothing of threads, batches, and where the output is.

    Attributes:
        scenes: which files are read.
        reading: how they are read.
        plan: what is made of them.
        storage: how tiles are stored, nothing left open.
        precision: number format of the network, "" where nothing is translated.
        device: kind of device, e.g. "cpu"; "" where nothing is translated; `ANY_DEVICE` before one is chosen.
        versions: of the libraries that may change a bit, by name.
        facts: what the output's tilejson.json says besides.
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
    def storage_layers(self) -> tuple[str, ...]:
        """Names of the layers besides the map."""
        return self.storage.layers

    @property
    def tileset(self) -> TileSet:
        """How the map is described in the output. Holds no path and no time."""
        return self.tileset_of(self.layers[MAP])

    def tileset_of(self, layer: Layer) -> TileSet:
        """How a layer is described in the output."""
        plan, storage = self.plan, self.storage
        assert storage.minzoom is not None, "the storage of a job is resolved"
        if layer.is_imagery:
            facts = {key: fact for key, fact in self.facts.items() if key == "scenes"}
            facts |= {"model": "", "plan": plan.untranslated().fingerprint}
        else:
            facts = {**self.facts, "model": plan.model, "plan": plan.fingerprint}
        if layer.legend is not None:
            facts["classes"] = code_legend(Palette(layer.legend))
        if layer.name == MAP and storage.layers:
            facts["layers"] = list(storage.layers)
        return TileSet(plan.name, layer.codec.format, storage.minzoom, plan.maxzoom, plan.window, facts, storage.scheme)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when any byte of the tiles may. Files count by size and content here, not by
        path and time, so that a copy is the same job; how the output is presented does not count."""
        values = self.to_dict()
        values["plan"].pop("notes")
        values["storage"] = {key: value for key, value in values["storage"].items() if key not in PRESENTATION}
        values["scenes"] = [[scene.size, scene.content] for scene in self.scenes]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: Job) -> list[str]:
        """What another job does otherwise, in words a user understands; empty where both give the same bytes."""
        return [*_scene_differences(self.scenes, other.scenes), *_value_differences(self, other)]

    def tile_differences(self, other: Job) -> list[str]:
        """The differences that change a tile; an interrupted run may go on with any other."""
        found = _value_differences(self, other, passed_over=PRESENTATION)
        return [*_scene_differences(self.scenes, other.scenes), *found]

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change with anything of the job, how its output is presented included."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def refusals(self, asked: Job) -> list[str]:
        """What makes this finished job another one than is asked for, in words. Not versions of libraries, which change
        under everybody's hands, nor the device where that is left open."""
        return self.differences(self._as_far_as_open(asked))

    def tile_refusals(self, asked: Job) -> list[str]:
        """The refusals that concern tiles, not how they are presented."""
        return self.tile_differences(self._as_far_as_open(asked))

    def _as_far_as_open(self, asked: Job) -> Job:
        device = self.device if asked.device == ANY_DEVICE else asked.device
        return replace(asked, device=device, versions=self.versions)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    def to_json(self) -> str:
        """One JSON object, keys sorted."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        return cls(
            scenes=tuple(SceneIdentity(**scene) for scene in values.pop("scenes")),
            reading=ReadingOptions(**values.pop("reading")),
            plan=Plan.from_dict(values.pop("plan")),
            storage=Storage(**values.pop("storage")),
            **values,
        )


def library_versions(translating: bool) -> dict[str, str]:
    """Versions of Python and of the libraries that may change a bit of the output, by name."""
    names = (*LIBRARIES, "torch") if translating else LIBRARIES
    found = {"python": ".".join(map(str, sys.version_info[:2])), "GDAL": rasterio.__gdal_version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # installed by other means than pip
            found[name] = "unknown"
    return found


def version_changes(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Which libraries have other versions than they had, in words: "numpy 2.3, now 2.4"."""
    return tuple(
        f"{name} {before.get(name, 'unknown')}, now {now.get(name, 'unknown')}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )


def _scene_differences(before: tuple[SceneIdentity, ...], now: tuple[SceneIdentity, ...]) -> list[str]:
    if [scene.path for scene in before] != [scene.path for scene in now]:
        fresh = [scene.path for scene in now if scene.path not in {old.path for old in before}]
        gone = [scene.path for scene in before if scene.path not in {new.path for new in now}]
        words = [f"{path} was not among its scenes" for path in fresh]
        words += [f"{path} is not among the scenes given" for path in gone]
        return words or ["the scenes come in another order"]
    return [said for old, new in zip(before, now, strict=True) if (said := old.difference(new))]


def _value_differences(before: Job, now: Job, passed_over: Sequence[str] = ()) -> list[str]:
    flat = [_flat({key: value for key, value in job.to_dict().items() if key != "scenes"}) for job in (before, now)]
    names = [name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)]
    names.sort(key=lambda name: name.startswith(_DERIVED))  # what somebody chose comes before what follows from it
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
    return f"{word} was {_spell(before)} and is {_spell(now)}"


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not set" if value is None or value == "" else str(value)
