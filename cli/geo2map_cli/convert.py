"""`geo2map convert`: one kind of tile set into another."""

from __future__ import annotations

import json

import click

from geo2map_cli.options import overwrite_option
from geo2map_cli.reporting import Bar, report_options


@click.command("convert")
@click.argument("source", type=click.Path())
@click.argument("out", type=click.Path())
@overwrite_option
@report_options
def command(source: str, out: str, overwrite: bool, as_json: bool) -> None:
    """Write SOURCE, a set of tiles, as OUT, another kind of it; tiles keep their bytes.

    \b
    geo2map convert tiles/ map.pmtiles
    geo2map convert map.mbtiles tiles/
    geo2map convert map.pmtiles map.tif
    """
    from geo2map.api.converting import convert

    with Bar() as bar:
        convert(source, out, overwrite=overwrite, progress=bar)
    click.echo(json.dumps({"out": out}) if as_json else out)
