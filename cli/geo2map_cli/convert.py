"""`geo2map convert`: one kind of tile set into another."""

from __future__ import annotations

from typing import Any

import click

from geo2map_cli.options import (
    bounds_option,
    compress_option,
    format_option,
    lossless_option,
    overwrite_option,
    parse_zooms,
    quality_option,
    scheme_option,
    tmp_option,
)
from geo2map_cli.reporting import Bar, report_options, show


@click.command("convert")
@click.argument("source", type=click.Path())
@click.argument("out", type=click.Path())
@bounds_option
@click.option("--zoom", "zooms", callback=parse_zooms, metavar="Z|A-B", help="Zooms to take. [default: all]")
@format_option("[default: what they have]")
@quality_option
@lossless_option
@scheme_option
@compress_option
@tmp_option
@click.option("--bare", is_flag=True, help="Tiles and tilejson.json alone: no page, no QGIS layer.")
@overwrite_option
@report_options
def command(source: str, out: str, as_json: bool, **options: Any) -> None:
    """Write SOURCE, a set of tiles, as OUT, another kind of it; tiles keep their bytes unless --format says otherwise.

    SOURCE is a folder of tiles, an .mbtiles or .pmtiles file, or a .tif that geo2map made.

    \b
    geo2map convert tiles/ map.pmtiles
    geo2map convert map.mbtiles tiles/
    geo2map convert map.pmtiles map.tif
    geo2map convert tiles/ tms/ --scheme tms
    geo2map convert map.tif town.pmtiles --bounds 10.1,53.5,10.2,53.6 --zoom 12-16 --format webp
    """
    from geo2map.api.converting import convert

    with Bar() as bar:
        made = convert(source, out, progress=bar, **options)
    show(made, as_json)
