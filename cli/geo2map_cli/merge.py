"""`geo2map merge`: parts to one output."""

from __future__ import annotations

import click

from geo2map_cli.options import overwrite_option, tmp_option
from geo2map_cli.reporting import Bar, conclude, report_options
from geo2map_cli.spread import is_away, show_sent


@click.command("merge")
@click.argument("parts", type=click.Path())
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    help="As render has it, or s3://, gs://, az://.",
)
@overwrite_option
@tmp_option
@report_options
def command(parts: str, out: str, overwrite: bool, tmp: str | None, as_json: bool) -> None:
    """Make one output of PARTS, the folder that geo2map render --job filled.

    All shards must be there, and of one job. The output is, byte for byte, what one process would have written. PARTS
    stay: remove them when you have what you want.
    """
    if is_away(out):
        from geo2map.cluster.sending import merge_to_bucket

        with Bar() as bar:
            sent = merge_to_bucket(parts, out, tmp=tmp, overwrite=overwrite, progress=bar, begin=bar.begin)
        show_sent(sent, as_json)
        return
    from geo2map.cluster import merge_parts
    from geo2map.ledger import OutputOptions

    with Bar() as bar:
        options = OutputOptions(overwrite=overwrite, tmp=tmp)
        report = merge_parts(parts, out, options=options, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)
