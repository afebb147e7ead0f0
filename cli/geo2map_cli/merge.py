"""`geo2map merge`: parts to one output."""

from __future__ import annotations

import click

from geo2map_cli.options import overwrite_option
from geo2map_cli.reporting import Bar, finish, report_options, show, show_notes


@click.command("merge")
@click.argument("parts", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="As render has it: a folder, .pmtiles, .mbtiles or .tif.")
@overwrite_option
@report_options
def command(parts: str, out: str, overwrite: bool, as_json: bool) -> None:
    """Make one output of PARTS, the folder that geo2map render --job filled.

    All shards must be there, and of one job. The output is, byte for byte, what one process would have written. PARTS
    stay: remove them when you have what you want.
    """
    from geo2map.cluster import merge_parts
    from geo2map.outputs import OutputOptions

    with Bar() as bar:
        report = merge_parts(parts, out, options=OutputOptions(overwrite=overwrite), progress=bar)
    show_notes(report.notes)
    show(report, as_json)
    finish([report])
