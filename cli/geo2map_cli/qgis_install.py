"""`geo2map qgis-install`: the Processing provider into a profile of QGIS, or into a ZIP."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from geo2map_cli.gathering import GroupedCommand


@click.command("qgis-install", cls=GroupedCommand)
@click.option(
    "--profile",
    type=click.Path(file_okay=False, path_type=Path),
    help="Profile of QGIS. [default: the user's, of QGIS 3 and 4]",
)
@click.option(
    "--zip",
    "archive",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plugin into this file instead, as plugins.qgis.org takes it.",
)
def command(profile: Path | None, archive: Path | None) -> None:
    """Put geo2map's algorithms into the Processing toolbox of QGIS: render, preview, vectors.

    The plugin runs this installation of geo2map; nothing is installed into the Python of QGIS. It is enabled when QGIS
    starts next.

    \b
    geo2map qgis-install
    qgis_process run geo2map:render -- INPUT=scene.tif OUTPUT=map.tif
    """
    from geo2map_cli.qgis_profile import find_profiles, install_plugin, write_plugin_zip

    if archive is not None:
        if profile is not None:
            raise click.UsageError("--profile and --zip given: pass one of them.")
        write_plugin_zip(archive)
        click.echo(f"{archive}: the plugin; in QGIS, Plugins > Manage and Install Plugins > Install from ZIP")
        return
    for place in [profile] if profile else find_profiles(os.environ, Path.home(), sys.platform):
        click.echo(f"{install_plugin(place)}: installed; restart QGIS, and look for geo2map in the Processing toolbox")
