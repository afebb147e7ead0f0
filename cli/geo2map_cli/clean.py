"""`geo2map clean`: no, do not go on with it."""

from __future__ import annotations

import click


@click.command("clean")
@click.argument("outputs", nargs=-1, required=True, type=click.Path())
def command(outputs: tuple[str, ...]) -> None:
    """Throw away what interrupted runs have kept beside OUTPUTS. Finished outputs are left alone."""
    from geo2map.ledger import clean_output

    for out in outputs:
        kept = clean_output(out)
        click.echo(f"{out}: thrown away what an interrupted run had kept" if kept else f"{out}: nothing to throw away")
