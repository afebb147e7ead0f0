"""From a scene and a reference map to a folder of training pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Unpack, cast

from geo2map import grid
from geo2map.errors import DataError
from geo2map.files.address import is_file_path
from geo2map.files.place import check_place, require_writable
from geo2map.grid import PixelWindow
from geo2map.pairs.cut import Cut, Cutter, cell_span, cells
from geo2map.pairs.folder import PairsFolder
from geo2map.pairs.layer import PairLayer, common_window, open_layer
from geo2map.pairs.options import PairsKeywords, PairsOptions
from geo2map.pairs.report import PairSet, Registration, Split, describe_registration
from geo2map.pairs.split import Cell, assign_blocks, block_side
from geo2map.pairs.verdict import judge_registration, keep, registration_notes
from geo2map.protocols import Progress
from geo2map.scene.options import ReadingKeywords
from geo2map.types import SPLITS, PathLike, SplitName

BLOWN_UP = 1.5
"""Ratio of a layer's resolution to that of the images above which a warning is given."""


def make_pairs(
    scene: PathLike | Sequence[PathLike],
    map: PathLike,
    out: PathLike,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Unpack[PairsKeywords],
) -> PairSet:
    """Cuts a scene and its map into pairs of images A|B, checks their registration, and divides them.

    Memory depends on the size of a picture, not on the scene.

    Args:
        scene: a raster with a CRS (or several as one, see `geo2map.open_scenes`), or a folder of XYZ tiles.
        map: the reference map, in the same forms.
        out: a folder; receives `train`, `val`, `test` and `pairs.json`, as `geo2map train` reads them.
        overwrite: replace a folder of pairs.
        progress: told "pictures".
        options: see `PairsKeywords`; `zoom` is required.

    Raises:
        DataError: scene and map do not overlap, no picture is left, or too few for the splits.
        ZoomError: tiles that have no such zoom.
        OutputError: the folder cannot be written, or is not empty.
        Geo2MapError: whatever `geo2map.open_scenes` raises.
    """
    chosen, reading = _divide(options)
    trusted: ReadingKeywords = {"allow_outside": reading["allow_outside"]} if "allow_outside" in reading else {}
    check_place(out, [f".{Path(out).name}.{kind}" for kind in ("partial", "replaced")], keep=_files(scene, map))
    require_writable(out)
    with (
        open_layer(scene, chosen.zoom, chosen.resampling, chosen.stretch, **reading) as a,
        open_layer(map, chosen.zoom, chosen.map_resampling, None, **trusted) as b,
    ):
        window = common_window(a, b)
        with PairsFolder(Path(out), chosen.zoom, chosen.format, overwrite=overwrite) as folder:
            cutter = Cutter(a, b, window, folder, chosen)
            _cut_all(cutter, window, chosen.size, progress)
            pair_set, splits = _conclude(cutter, folder, (a, b), window, chosen)
            folder.commit(splits, pair_set.to_json())
    return pair_set


def _files(*asked: PathLike | Sequence[PathLike]) -> list[str]:
    """The scenes or folder that a path stands for."""
    paths = [str(path) for some in asked for path in ([some] if isinstance(some, str | Path) else some)]
    return [path for path in paths if is_file_path(path)]


def _divide(options: PairsKeywords) -> tuple[PairsOptions, ReadingKeywords]:
    """Options of the pairs, and the remaining ones, which are for the scene."""
    names, given = {field.name for field in fields(PairsOptions)}, dict(options)
    chosen = PairsOptions(**{name: given.pop(name) for name in names & given.keys()})  # type: ignore[arg-type]
    return chosen, cast("ReadingKeywords", given)


def _cut_all(cutter: Cutter, window: PixelWindow, size: int, progress: Progress | None) -> None:
    columns, rows = cell_span(window, size)
    total = len(columns) * len(rows)
    for done, cell in enumerate(cells(window, size), start=1):
        cutter.cut(cell)
        if progress is not None:
            progress("pictures", done, total)


def _conclude(
    cutter: Cutter, folder: PairsFolder, layers: tuple[PairLayer, PairLayer], window: PixelWindow, options: PairsOptions
) -> tuple[PairSet, dict[Cell, SplitName]]:
    """The report, and the split of every remaining image."""
    scene, drawn = layers
    resolution = grid.ground_resolution(options.zoom, grid.window_latitude(window, options.zoom))
    registration = None if options.registration == "off" else judge_registration(cutter, resolution, options.max_shift)
    kept = keep(cutter.cuts, registration) if registration and options.registration == "drop" else cutter.cuts
    cutter.dropped["registration"] = len(cutter.cuts) - len(kept)
    if not kept:
        raise _nothing_left(cutter.dropped, registration, options)
    columns, rows = cell_span(window, options.size)
    side = options.block or block_side(len(columns), len(rows))
    blocks = assign_blocks(Counter(cut.cell.block(side) for cut in kept), options.shares, options.seed)
    splits = {cut.cell: blocks[cut.cell.block(side)] for cut in kept}
    pair_set = PairSet(
        scene=scene.name,
        map=drawn.name,
        zoom=options.zoom,
        ground_resolution=resolution,
        size=options.size,
        window=window,
        stretch=scene.stretch,
        split=Split(
            shares=options.shares,
            block=side,
            seed=options.seed,
            pictures=_in_order(Counter(splits.values())),
            blocks=_in_order(Counter(blocks.values())),
        ),
        dropped=cutter.dropped,
        registration=registration,
        palette=options.palette.entries if options.palette else None,
        class_shares=_class_shares(kept, splits, options),
        notes=(
            *scene.notes,
            *drawn.notes,
            *_scale_notes(layers, resolution, options.zoom),
            *(registration_notes(registration, kept, folder.file_name) if registration else ()),
        ),
    )
    return pair_set, splits


def _nothing_left(dropped: Mapping[str, int], registration: Registration | None, options: PairsOptions) -> DataError:
    reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
    if registration is not None and dropped["registration"]:
        advice = f"{describe_registration(registration)}; correct the georeference of one of them, or raise max_shift"
    else:
        advice = "lower size, zoom or min_valid"
    return DataError(
        f"no pairs of {options.size} px at zoom {options.zoom}: not one of the {sum(dropped.values())} pictures that "
        f"scene and map touch is left ({reasons}); {advice}"
    )


def _in_order(counts: Mapping[SplitName, int]) -> dict[SplitName, int]:
    return {name: counts[name] for name in SPLITS if name in counts}


def _class_shares(
    kept: Sequence[Cut], splits: Mapping[Cell, SplitName], options: PairsOptions
) -> dict[SplitName, dict[str, float]]:
    """Share of each class in each split's maps."""
    if options.palette is None:
        return {}
    shares: dict[SplitName, dict[str, float]] = {}
    for name in _in_order(Counter(splits.values())):
        columns = zip(*(cut.classes for cut in kept if splits[cut.cell] == name), strict=True)
        totals = [sum(column) for column in columns]
        pixels = zip(options.palette.classes, totals, strict=True)
        shares[name] = {label: round(total / math.fsum(totals), 6) for label, total in pixels}
    return shares


def _scale_notes(layers: Sequence[PairLayer], resolution: float, zoom: int) -> tuple[str, ...]:
    return tuple(
        f"warning: {layer.name} resolves only {layer.ground_resolution:.3g} m, and zoom {zoom} is {resolution:.3g} m "
        "per pixel: its pictures are blown up; a lower zoom suits it"
        for layer in layers
        if layer.ground_resolution is not None and layer.ground_resolution > BLOWN_UP * resolution
    )
