"""The files beside a tile set, which make it open by itself: in QGIS, in GDAL, in a browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from geo2map.outputs.gdal_tiles import tiles_xml
from geo2map.outputs.page import STATEMENT, viewer_page
from geo2map.outputs.qgis import Legend, layer_definition
from geo2map.outputs.text import file_stem, json_bytes, plain_text
from geo2map.plan.job import Job
from geo2map.tiles.tilejson import TileSet

PAGE = "index.html"
PROVENANCE = "provenance.json"
TABLE = "legend.tsv"
GDAL_FILE = "tiles.xml"
SIDECAR_NAMES = frozenset({PAGE, PROVENANCE, TABLE, GDAL_FILE})
"""Names of the files that `sidecars` makes; `NAME.qlr`, called by the tile set's name, comes on top."""


def sidecars(
    tileset: TileSet,
    legend: Legend,
    provenance: Mapping[str, Any],
    *,
    source: TileSet | None = None,
    address: str | None = None,
) -> dict[str, bytes]:
    """What lies beside the zooms of a tile set, by file name; a pure function, no time and no path goes in.

    Args:
        tileset: names, places and zooms; any name will do.
        legend: classes and colours, in order; may be empty.
        provenance: JSON-able facts such as scene names, model, card hash and job; no paths. Wins over what is added:
            "statement", "geo2map" (the version), "name" and "tiles".
        source: the source's own tiles in the folder "source" beside the map, for the viewer; None where there are none.
        address: absolute URL of the folder; without one there is no tiles.xml, since GDAL resolves no relative one.
            Nor is there one for a TMS folder.

    Returns:
        `NAME.qlr`, `index.html`, `provenance.json`, `legend.tsv` where there is a legend, `tiles.xml` where there is an
        address.

    Raises:
        TileSetError: JSON cannot spell the provenance.
    """
    made = {f"{file_stem(tileset.name)}.qlr": layer_definition(tileset, legend)}
    made[PAGE] = viewer_page(tileset, legend, source)
    made[PROVENANCE] = json_bytes(_provenance(tileset) | dict(provenance))
    if legend:
        made[TABLE] = legend_table(legend)
    if address is not None and tileset.scheme == "xyz":
        made[GDAL_FILE] = tiles_xml(tileset, address)
    return made


def job_sidecars(job: Job) -> dict[str, bytes]:
    """The files beside the tiles of a job."""
    facts = job.facts
    legend = [(str(name), (int(red), int(green), int(blue))) for name, (red, green, blue) in facts.get("legend", ())]
    provenance = {
        "geo2map": job.versions.get("geo2map", ""),
        "scenes": list(facts.get("scenes", ())),
        "model": job.plan.model,
        "job": job.fingerprint,
        "precision": job.precision,
        "device": job.device,
        "libraries": dict(job.versions),
    }
    return sidecars(job.tileset, legend, provenance, source=job.source.tileset if job.source else None)


def legend_table(legend: Legend) -> bytes:
    """The colours as a tab-separated table of class, red, green, blue, which `geo2map.colour.load_palette` reads."""
    file = io.StringIO()
    writer = csv.writer(file, dialect="excel-tab", lineterminator="\n")
    writer.writerow(["class", "red", "green", "blue"])
    writer.writerows([plain_text(name), *colour] for name, colour in legend)
    return file.getvalue().encode()


def _provenance(tileset: TileSet) -> dict[str, Any]:
    document = tileset.to_dict()
    return {
        "statement": STATEMENT,
        "made_by": "made by a generative model",
        "geo2map": version("geo2map"),
        "name": tileset.name,
        "tiles": {key: document[key] for key in ("format", "minzoom", "maxzoom", "bounds", "attribution")},
    }
