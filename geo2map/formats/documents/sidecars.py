"""Documents beside a tile set for viewing it in QGIS, GDAL or a browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from geo2map.features import Style
from geo2map.files.plain_text import plain_text
from geo2map.formats.documents.companions import class_legend
from geo2map.formats.documents.gdal_tiles import tiles_xml
from geo2map.formats.documents.maplibre import style_documents
from geo2map.formats.documents.page import statement_of, viewer_page
from geo2map.formats.documents.qgis import class_style, layer_definition
from geo2map.formats.documents.shown_styles import LegendEntries, style_legend
from geo2map.formats.documents.text import file_stem, json_bytes
from geo2map.formats.stored import parse_json
from geo2map.plan.job import Job
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.layer import MAP
from geo2map.tiles.statement import WORDS
from geo2map.tiles.tilejson import TileSet

PAGE = "index.html"
PROVENANCE = "provenance.json"
TABLE = "legend.tsv"
GDAL_FILE = "tiles.xml"
SIDECAR_NAMES = frozenset({PAGE, PROVENANCE, TABLE, GDAL_FILE})
"""Files written by `sidecars`, besides `style.NAME.json`, named after a style, and `NAME.qlr` and `NAME.qml`, named
after the tile set."""


def sidecars(
    tileset: TileSet,
    legend: LegendEntries,
    provenance: Mapping[str, Any],
    *,
    layers: Mapping[str, TileSet] | None = None,
    address: str | None = None,
) -> dict[str, bytes]:
    """Documents for a tile set, by file name; a pure function without time or path.

    Args:
        tileset: the map; its name may contain any characters.
        legend: classes and colours, in order; may be empty.
        provenance: JSON-able facts such as scene names, model, card hash and job; no paths. Overrides the defaults
            "statement", "geo2map" (the version), "name" and "tiles".
        layers: further layers in folders beside the zooms, by name, for the viewer.
        address: absolute URL of the folder, which GDAL needs in tiles.xml; None omits that file. In styles of vector
            tiles, it stands before the tiles.

    Returns:
        `NAME.qlr`, `index.html`, `provenance.json`, with a legend `legend.tsv`, for class tiles `NAME.qml` (for rasters
        built from them), for vector tiles `style.NAME.json`, with an address `tiles.xml`.

    Raises:
        TileSetError: the provenance is not JSON-able.
    """
    made = {layer_name(tileset): layer_definition(tileset, legend)}
    if classes := class_legend(tileset):
        made[f"{file_stem(tileset.name)}.qml"] = class_style(classes)
    made[PAGE] = viewer_page(tileset, legend, layers)
    made[PROVENANCE] = json_bytes(_provenance(tileset) | dict(provenance))
    if legend:
        made[TABLE] = legend_table(legend)
    if tileset.format == "mvt":
        template = None if address is None else f"{address.rstrip('/')}/{{z}}/{{x}}/{{y}}{SUFFIXES[tileset.format]}"
        made |= {name: json_bytes(style) for name, style in style_documents(tileset, template).items()}
    elif address is not None:
        made[GDAL_FILE] = tiles_xml(tileset, address)
    return made


def layer_name(tileset: TileSet) -> str:
    """File name of the QGIS layer definition of a tile set."""
    return f"{file_stem(tileset.name)}.qlr"


def job_sidecars(job: Job) -> dict[str, bytes]:
    """Documents for the output of a job."""
    provenance = {
        "geo2map": job.versions.get("geo2map", ""),
        "scenes": list(job.facts.get("scenes", ())),
        "model": job.plan.model,
        "job": job.fingerprint,
        "precision": job.precision,
        "device": job.device,
        "libraries": dict(job.versions),
    }
    tileset, layers = job.tileset, {name: job.tileset_of(layer) for name, layer in job.layers.items() if name != MAP}
    return sidecars(tileset, legend_of(tileset), provenance, layers=layers, address=job.storage.address)


def stored_sidecars(tileset: TileSet, before: Path, layers: Mapping[str, TileSet] | None = None) -> dict[str, bytes]:
    """Documents for a converted tile set; none unless geo2map rendered it.

    Args:
        tileset: the new tile set.
        before: path of the source; its provenance.json, if any, is preserved.
        layers: see `sidecars`.
    """
    if "model" not in tileset.extra:
        return {}
    known: Any = None
    with suppress(OSError):
        known = parse_json((before / PROVENANCE).read_text(encoding="utf-8", errors="replace"))
    if not isinstance(known, dict):
        known = {key: tileset.extra[key] for key in ("scenes", "model") if key in tileset.extra}
    kept = {key: value for key, value in known.items() if key not in _provenance(tileset) or key == "geo2map"}
    return sidecars(tileset, legend_of(tileset), kept, layers=layers)


def legend_of(tileset: TileSet) -> LegendEntries:
    """Classes and colours of a tile set: those of its codes, those that its style draws, else those of its model."""
    if classes := class_legend(tileset):
        return classes
    if (style := tileset.extra.get("style")) is not None:
        return style_legend(Style.of(style), tileset)
    entries: Any = tileset.extra.get("legend", ())
    return [(str(name), (int(red), int(green), int(blue))) for name, (red, green, blue) in entries]


def legend_table(legend: LegendEntries) -> bytes:
    """The colours as a tab-separated table of class, red, green, blue; see `geo2map.colour.load_palette`."""
    file = io.StringIO()
    writer = csv.writer(file, dialect="excel-tab", lineterminator="\n")
    writer.writerow(["class", "red", "green", "blue"])
    writer.writerows([plain_text(name), *colour] for name, colour in legend)
    return file.getvalue().encode()


def _provenance(tileset: TileSet) -> dict[str, Any]:
    document = tileset.to_dict()
    return {
        "statement": statement_of(tileset),
        "made_by": "cut from imagery" if tileset.is_imagery else "made by a generative model",
        "geo2map": version("geo2map"),
        "name": tileset.name,
        "tiles": {key: document[key] for key in ("format", "minzoom", "maxzoom", "bounds", *WORDS) if key in document},
    }
