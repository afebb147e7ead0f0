"""The `geo2map` command: dispatches to subcommands and turns errors into exit codes."""

from __future__ import annotations

import logging
import os
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

SECTIONS = {
    "Commands": {
        "demo": "Render a synthetic town from start to finish.",
        "info": "Describe a scene and what render would do with it.",
        "preview": "Put a few blocks of a scene and their map side by side.",
        "render": "Render a scene as map tiles, a GeoTIFF or features.",
        "draw": "Draw features as map tiles, in any style, at any zoom.",
        "convert": "Convert tiles into another kind of output, or into features.",
        "check": "Verify an output and its seams, and repair it.",
        "view": "View finished tiles in a browser.",
        "serve": "Serve the map of a scene, rendered on demand.",
        "clean": "Delete the partial results of an interrupted run.",
        "qgis-install": "Put geo2map's Processing algorithms into QGIS.",
    },
    "Many machines": {
        "plan": "Plan a job for many machines: shards, tiles, hours.",
        "merge": "Merge the parts that many machines rendered into one output.",
    },
    "Training": {
        "pairs": "Cut a scene and its map into training pairs.",
        "train": "Train a model on pairs of pictures.",
        "evaluate": "Measure a model on held-out pairs.",
        "models": "List, show, import, export, average, calibrate and sharpen models.",
    },
    "Single steps": {
        "tile": "Cut a scene into XYZ tiles without translating.",
        "translate": "Translate a folder of XYZ tiles.",
        "mosaic": "Join a folder of XYZ tiles into one GeoTIFF.",
        "bench": "Measure this machine's speed and find its bottleneck.",
    },
}
"""What the help says of each command, in the order in which people meet them."""
COMMANDS = {name: text for section in SECTIONS.values() for name, text in section.items()}


URI = re.compile(r"(--[a-z-]+=)?(file:/.*)", re.IGNORECASE | re.DOTALL)


def _local(argument: str) -> str:
    """An argument with a path in place of a file URI, as browsers, QGIS and catalogues copy them."""
    found = URI.fullmatch(argument)
    return (found[1] or "") + plain_path(found[2]) if found else argument


class LazyGroup(click.Group):
    """Imports a subcommand's module when it is called, so that the help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"geo2map_cli.{cmd_name.replace('-', '_')}").command
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
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="geo2map")
@click.pass_context
def cli(context: click.Context) -> None:
    """Turn satellite scenes into seamless, georeferenced maps.

    \b
    geo2map demo                               try it on a synthetic town
    geo2map preview scene.tif --out look.png   preview a model on your scene
    geo2map render scene.tif --out tiles/      render it
    """
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False


class Terminated(KeyboardInterrupt):
    """SIGTERM: finished blocks are kept, as with Ctrl-C."""


def _terminate(*_: object) -> None:
    raise Terminated


def main() -> None:
    """Runs the command line.

    Exit codes: 0; 1, error; 2, usage; 3, blocks left out; 130, Ctrl-C; 143, SIGTERM.
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
        _print("stopped", interrupt)
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
    _print(f"geo2map: {error}{spell_option(error.option)}", error)
    log.info("failed: %s", error, exc_info=log.isEnabledFor(logging.DEBUG))
    sys.exit(2 if error.usage else 1)


def _print(sentence: str, error: BaseException) -> None:
    """Prints what happened, and the library's notes: what is kept, how to resume."""
    notes = getattr(error, "__notes__", [])
    click.echo("; ".join([sentence, *notes]) if notes else sentence, err=True)


if __name__ == "__main__":
    main()
