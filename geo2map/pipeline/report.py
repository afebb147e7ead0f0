"""The report of a run, accumulated over its blocks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from geo2map.files.address import redact
from geo2map.files.notebook import notebook_html, png_picture
from geo2map.files.plain_json import plain_json
from geo2map.grid.window import lnglat_bounds
from geo2map.pipeline.reading import BlockDone
from geo2map.plan.job import Job
from geo2map.tiles.doubt import Doubt
from geo2map.types import LngLatBounds, PathLike


@dataclass
class Report:
    """The report of a run.

    Attributes:
        name: name of the scene.
        path: of the output, as given; "" where nothing was written.
        bounds: west, south, east, north of the map in degrees; beyond 180 where it crosses the antimeridian.
        layers: tile sets of the output, the map first.
        maxzoom, minzoom: zooms of the output.
        translated, empty: blocks with and without a pixel to write (`geo2map.tile` does not translate them).
        unchanged: blocks that were read again, but had not changed.
        resumed: blocks finished by an earlier run.
        tiles: tiles written at maxzoom by this run.
        doubt: where the whole map is doubtful, blocks of earlier runs included; None without a layer of confidence.
        failed: unreadable blocks: zoom, columns and rows of tiles, degrees, and the error.
        seconds: wall-clock of the run ("total") and of each stage; stages overlap.
        notes: the plan's notes.
        complete: whether an earlier run of the same job had completed the output, which is untouched.
        since: library versions changed since that run, in words.
        error: reason of a failure, else None.
        option: Python name of the option that helps, see `geo2map.Geo2MapError`.
    """

    name: str
    path: str = ""
    bounds: LngLatBounds | None = None
    layers: tuple[str, ...] = ()
    maxzoom: int = 0
    minzoom: int = 0
    translated: int = 0
    empty: int = 0
    unchanged: int = 0
    resumed: int = 0
    tiles: int = 0
    doubt: Doubt | None = None
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    complete: bool = False
    since: tuple[str, ...] = ()
    error: str | None = None
    option: str | None = None

    @classmethod
    def of(cls, job: Job) -> Report:
        """An empty report of a job."""
        plan = job.plan
        return cls(
            plan.name,
            bounds=lnglat_bounds(plan.window, plan.maxzoom),
            layers=tuple(job.layers),
            maxzoom=plan.maxzoom,
            minzoom=job.storage.minzoom or 0,
            notes=plan.notes,
        )

    @classmethod
    def of_complete(cls, job: Job, blocks: int, since: tuple[str, ...] = (), doubt: Doubt | None = None) -> Report:
        """The report of a job whose output is already complete."""
        found = replace(cls.of(job), resumed=blocks, since=since, doubt=doubt)
        return replace(found, complete=True, seconds={"total": 0.0})

    def at(self, path: PathLike) -> Report:
        """The report with the path of its output."""
        return replace(self, path=redact(str(path)))

    def add(self, done: BlockDone) -> None:
        """Count a block."""
        if done.error is not None:
            self.failed.append(_failure(done))
        elif done.unchanged:
            self.unchanged += 1
        elif done.inputs:
            self.translated += 1
        else:
            self.empty += 1
        self.tiles += done.tiles
        for stage, seconds in done.seconds.items():
            self.add_seconds(stage, seconds)

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @property
    def state(self) -> Literal["finished", "incomplete", "failed"]:
        """What became of the scene; "incomplete" where blocks were left out."""
        if self.error is not None:
            return "failed"
        return "incomplete" if self.failed else "finished"

    def to_dict(self) -> dict[str, Any]:
        doubt = None if self.doubt is None else self.doubt.to_dict()
        return asdict(self) | {"state": self.state, "doubt": doubt}

    def failed_geojson(self) -> str:
        """Outlines of the unreadable blocks as a GeoJSON FeatureCollection."""
        features = [
            {"type": "Feature", "geometry": box_polygon(*failure["bounds"]), "properties": {"error": failure["error"]}}
            for failure in self.failed
        ]
        return plain_json({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=2) + "\n"

    def _repr_html_(self) -> str:
        """For notebooks: a picture of the output, where it can be read, beside the figures."""
        from geo2map.formats.thumbnail import thumbnail  # here: it loads what a run may not need

        if self.error:
            return notebook_html(f"{self.name}: failed", [("output", self.path)], remarks=[self.error])
        found = thumbnail(self.path) if self.path else None
        picture = "" if found is None else png_picture(found, f"map of {self.name}")
        bounds = ", ".join(f"{degrees:.5f}" for degrees in self.bounds or ())
        entries = {
            "output": self.path,
            "zooms": f"{self.minzoom} to {self.maxzoom}",
            "layers": ", ".join(self.layers),
            "bounds": f"{bounds} (west, south, east, north)" if bounds else "",
            "tiles": "" if self.complete else f"{self.tiles} at zoom {self.maxzoom}",
            "blocks": complete_note(self.since) if self.complete else self._blocks,
            "doubtful": "" if self.doubt is None else f"{100 * self.doubt.share:.1f} %",
            "time": "" if self.complete else f"{self.seconds.get('total', 0.0):.1f} s",
        }
        return notebook_html(self.name, entries.items(), picture=picture, remarks=self.notes)

    @property
    def _blocks(self) -> str:
        """What became of the blocks, in words."""
        parts = [f"{self.translated} block{'s' * (self.translated != 1)} translated", f"{self.empty} empty"]
        parts += [f"{self.unchanged} unchanged"] if self.unchanged else []
        parts += [f"{self.resumed} resumed"] if self.resumed else []
        parts += [f"{len(self.failed)} could not be read"] if self.failed else []
        return ", ".join(parts)

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: failed: {self.error}"
        doubt = "" if self.doubt is None else f"; {100 * self.doubt.share:.1f} % of the map is doubtful"
        if self.complete:
            return f"{self.name}: {complete_note(self.since)}{doubt}"
        return (
            f"{self.name}: {self.tiles} tiles at zoom {self.maxzoom}, overviews down to zoom {self.minzoom}; "
            f"{self._blocks}, {self.seconds.get('total', 0.0):.1f} s{doubt}"
        )


def complete_note(since: tuple[str, ...]) -> str:
    """ "complete", and which library versions have changed since.

    Args:
        since: see `Report`.
    """
    return f"complete (rendered with {'; '.join(since)}: overwrite to render again)" if since else "complete"


def _failure(done: BlockDone) -> dict[str, Any]:
    block = done.block
    return {
        "tiles": [block.z, block.x, block.y, block.columns, block.rows],
        "bounds": [round(degrees, 7) for degrees in lnglat_bounds(block.core, block.z)],
        "error": done.error,
    }


def box_polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box in degrees as a GeoJSON polygon."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
