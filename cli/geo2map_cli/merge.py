"""`geo2map merge`: parts to one output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.progress import open_progress, progress_option
from geo2map_cli.remote import names_bucket, show_sent
from geo2map_cli.reporting import conclude, report_options
from geo2map_cli.storing import as_output, out_option, overwrite_option, tmp_option

if TYPE_CHECKING:
    from geo2map.ledger import OutputOptions


@click.command("merge", cls=GroupedCommand)
@report_options
@progress_option
@click.argument("parts", type=click.Path())
@out_option("Folder for tiles, .tif, .mbtiles, .pmtiles; or s3://, gs://, az://.")
@as_output(overwrite_option, tmp_option)
def command(parts: str, out: str, output: OutputOptions, as_json: bool) -> None:
    """Merge PARTS, the folder that geo2map render --job filled, into one output.

    All shards must be present, and of one job. The output is identical to that of a single-machine run. PARTS are kept:
    delete them when you no longer need them.
    """
    if names_bucket(out):
        from geo2map.cluster.sending import merge_to_bucket

        with open_progress() as bar:
            sent = merge_to_bucket(parts, out, options=output, progress=bar, begin=bar.begin)
        show_sent(sent, as_json)
        return
    from geo2map.cluster import merge_parts

    with open_progress() as bar:
        report = merge_parts(parts, out, options=output, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)
