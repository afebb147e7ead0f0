"""The `geo2map` command: finds the subcommand, turns errors into exit codes."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import click

from geo2map import __version__
from geo2map.errors import Geo2MapError

log = logging.getLogger(__name__)

COMMANDS = {
    "render": "Render a scene as map tiles or a GeoTIFF.",
    "preview": "Put a few blocks of a scene and their map side by side.",
    "info": "Say what a scene is and what render would do with it.",
    "demo": "Draw a town, render it and say what to open.",
    "tile": "Cut a scene into XYZ tiles, translating nothing.",
    "translate": "Translate a folder of XYZ tiles.",
    "mosaic": "Join a folder of XYZ tiles into one GeoTIFF.",
    "pairs": "Cut a scene and its map into pairs to train on.",
    "train": "Train a model on pairs of pictures.",
    "evaluate": "Measure a model on held-out pairs.",
    "models": "List, show and import models.",
}


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is called; the help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"geo2map_cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="geo2map")
def cli() -> None:
    """Turn satellite scenes into seamless, georeferenced maps.

    \b
    geo2map demo                               see it work
    geo2map preview scene.tif --out look.png   see what a model makes of your scene
    geo2map render scene.tif --out tiles/      render it
    """


def main() -> None:
    """Runs the command line: exit code 0, 1 (an error of ours), 2 (usage) or 130 (Ctrl-C)."""
    try:
        cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; nothing half-written is left behind", err=True)
        sys.exit(130)
    except Geo2MapError as error:
        click.echo(f"geo2map: {error}", err=True)
        log.info("failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
        sys.exit(1)


if __name__ == "__main__":
    main()
