"""`geo2map clean`: partial results deleted."""

from __future__ import annotations

import click

from geo2map_cli.gathering import GroupedCommand


@click.command("clean", cls=GroupedCommand)
@click.argument("outputs", nargs=-1, required=True, type=click.Path())
def command(outputs: tuple[str, ...]) -> None:
    """Delete the partial results of interrupted runs beside OUTPUTS. Finished outputs are kept."""
    from geo2map.ledger import clean_output

    for out in outputs:
        kept = clean_output(out)
        click.echo(f"{out}: deleted the partial results of an interrupted run" if kept else f"{out}: nothing to delete")
