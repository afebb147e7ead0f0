"""The `geo2map` command: finds the subcommand, turns errors into exit codes."""

from __future__ import annotations

import logging
import re
import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click

from geo2map import __version__
from geo2map.errors import Geo2MapError
from geo2map.files.address import plain_path
from geo2map_cli.memory import few_arenas
from geo2map_cli.reporting import spell_option
from geo2map_cli.surroundings import explain, raise_file_limit

log = logging.getLogger(__name__)

COMMANDS = {
    "render": "Render a scene as map tiles or a GeoTIFF.",
    "plan": "Plan a job for many machines: shards, tiles, hours.",
    "merge": "Make one output of the parts that many machines rendered.",
    "preview": "Put a few blocks of a scene and their map side by side.",
    "info": "Say what a scene is and what render would do with it.",
    "check": "Say whether an output is whole, true and seamless, and mend it.",
    "serve": "Show the map of a scene as it is made, where somebody looks.",
    "view": "Show finished tiles in a browser.",
    "clean": "Throw away what an interrupted run has kept.",
    "bench": "Measure how fast this machine renders, and what holds it back.",
    "demo": "Draw a town, render it and say what to open.",
    "tile": "Cut a scene into XYZ tiles, translating nothing.",
    "translate": "Translate a folder of XYZ tiles.",
    "convert": "Turn tiles into MBTiles, PMTiles, a folder or a GeoTIFF.",
    "mosaic": "Join a folder of XYZ tiles into one GeoTIFF.",
    "pairs": "Cut a scene and its map into pairs to train on.",
    "train": "Train a model on pairs of pictures.",
    "evaluate": "Measure a model on held-out pairs.",
    "models": "List, show, import, average, calibrate and crispen models.",
}


URI = re.compile(r"(--[a-z-]+=)?(file:/.*)", re.IGNORECASE | re.DOTALL)


def _local(argument: str) -> str:
    """An argument with the path in place of a file's URI, which browsers, QGIS and catalogues copy."""
    found = URI.fullmatch(argument)
    return (found[1] or "") + plain_path(found[2]) if found else argument


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is called; the help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"geo2map_cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        args = [_local(argument) for argument in args]
        near = get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

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


class Terminated(KeyboardInterrupt):
    """Somebody asked this process to end (SIGTERM): what is done is kept, as with Ctrl-C."""


def _terminate(*_: object) -> None:
    raise Terminated


def main() -> None:
    """Runs the command line.

    Exit codes: 0; 1, an error of ours; 2, usage; 3, blocks left out; 130, Ctrl-C; 143, SIGTERM.
    """
    few_arenas()
    raise_file_limit()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt) as error:
        interrupt = error.__cause__ or error.__context__ or error if isinstance(error, click.Abort) else error
        _say("stopped", interrupt)
        sys.exit(143 if isinstance(interrupt, Terminated) else 130)
    except Geo2MapError as error:
        _fail(error)
    except Exception as error:
        if (known := explain(error)) is None:
            raise
        _fail(known)
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(error: Geo2MapError) -> NoReturn:
    _say(f"geo2map: {error}{spell_option(error.option)}", error)
    log.info("failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
    sys.exit(2 if error.usage else 1)


def _say(sentence: str, error: BaseException) -> None:
    """Prints what happened, and what the library noted on the way: what is kept, how to go on."""
    notes = getattr(error, "__notes__", [])
    click.echo("; ".join([sentence, *notes]) if notes else sentence, err=True)


if __name__ == "__main__":
    main()
