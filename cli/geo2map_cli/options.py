"""Options of scenes, plans and models that commands share, and the values that the library takes them as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.gathering import expert_option, gather, grouped
from geo2map_cli.parsing import LngLat, parse_bounds, parse_indexes
from geo2map_cli.processors import threads_option

if TYPE_CHECKING:
    from geo2map.aoi import Aoi
    from geo2map.model import ModelOptions
    from geo2map.plan import PlanOptions
    from geo2map.scene import ReadingOptions, SceneOptions


KERNELS = (
    "nearest",
    "bilinear",
    "cubic",
    "cubic_spline",
    "lanczos",
    "average",
    "mode",
    "max",
    "min",
    "med",
    "q1",
    "q3",
    "rms",
)
"""Choices of --resampling: `geo2map.types.Resampling`, which the help must not import."""


def _model(**values: Any) -> ModelOptions:
    from geo2map.model import ModelOptions

    return ModelOptions(**values)


def _planning(aoi: str | None, bounds: LngLat | None, **values: Any) -> PlanOptions:
    if aoi is not None and bounds is not None:
        raise click.UsageError("--aoi and --bounds given: pass one of them.")
    if values["clip"] and aoi is None and bounds is None:
        raise click.UsageError("--clip given, but nothing to clip to: pass --aoi or --bounds, too.")
    from geo2map.plan import PlanOptions

    return PlanOptions(aoi=_make_aoi(aoi if bounds is None else bounds), **values)


def _make_aoi(source: str | LngLat | None) -> Aoi | None:
    if source is None:
        return None
    from geo2map.aoi import make_aoi

    return make_aoi(source)


def _reading(**values: Any) -> ReadingOptions:
    from geo2map.scene import ReadingOptions

    return ReadingOptions(**values)


def _scene(**values: Any) -> SceneOptions:
    from geo2map.scene import SceneOptions

    return SceneOptions(**values)


model_options = gather(
    "model",
    _model,
    "Machine",
    grouped(
        "Model",
        click.option("--model", default="sat2map", show_default=True, help="Packaged model, or a file."),
        expert_option(
            "--mode",
            type=click.Choice(["exact", "faithful"]),
            help="faithful: each tile by itself, as pix2pix was tested; leaves seams. [default: the model's]",
        ),
    ),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."),
    threads_option,
    expert_option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Number format of the network; auto is fp32.",
    ),
    expert_option("--batch", type=click.IntRange(1), help="Blocks at once. [default: 2 on CPU, 8 on GPU]"),
)
"""--model and how it runs; the command gets `model`, a `geo2map.ModelOptions`."""


plan_options = gather(
    "planning",
    _planning,
    "Area",
    click.option("--aoi", type=click.Path(), help="Vector file of polygons: write only tiles that they touch."),
    click.option("--bounds", callback=parse_bounds, metavar="W,S,E,N", help="Degrees, instead of --aoi."),
    click.option("--clip", is_flag=True, help="Write only pixels inside --aoi or --bounds."),
    click.option("--zoom", type=click.IntRange(0, 24), help="Zoom to translate at. [default: the model's]"),
    grouped(
        "Model",
        click.option(
            "--match",
            type=click.Choice(["auto", "model", "none"]),
            default="auto",
            show_default=True,
            help="Match colours to the model's: as far as suits the scene, all the way, or not.",
        ),
        expert_option("--force", is_flag=True, help="Render at a resolution or zoom that would be refused."),
        expert_option(
            "--margin", type=click.IntRange(0), help="Pixels of context around a block. [default: the model's]"
        ),
    ),
    grouped(
        "Input",
        click.option(
            "--stretch",
            default="auto",
            show_default=True,
            help="To 8 bit: auto, none, minmax, percentile:2,98 or LOW,HIGH (for each band).",
        ),
        expert_option(
            "--resampling",
            type=click.Choice(KERNELS),
            metavar="KERNEL",
            default="cubic",
            show_default=True,
            help=f"Kernel of the warp: {', '.join(KERNELS)}.",
        ),
    ),
    grouped(
        "Machine",
        expert_option(
            "--block-span",
            type=click.IntRange(1, 64),
            default=4,
            show_default=True,
            help="Tiles along a side of a block: 1, 2, 4, 8 ...",
        ),
    ),
)
"""The command gets `planning`, a `geo2map.PlanOptions`."""

SCENE = (
    click.option("--indexes", callback=parse_indexes, metavar="R,G,B", help="Bands, or one. [default: by colour]"),
    click.option("--crs", help="CRS to use instead of the file's, e.g. EPSG:32618."),
    click.option("--nodata", type=float, help="Value of pixels without data, or nan. [default: the file's]"),
    expert_option("--allow-outside", is_flag=True, help="Open a VRT whose sources lie outside its folder."),
)
READING = (
    *SCENE,
    expert_option(
        "--order",
        type=click.Choice(["first", "last", "newest", "finest"]),
        default="first",
        show_default=True,
        help="Which of several scenes is on top.",
    ),
    expert_option(
        "--feather",
        type=click.IntRange(0, 512),
        default=0,
        show_default=True,
        help="Pixels over which the upper of two scenes fades into the lower.",
    ),
)
reading_options = gather("reading", _scene, "Input", *SCENE)
"""The command gets `reading`, a `geo2map.scene.SceneOptions`."""
scene_options = gather("reading", _reading, "Input", *READING)
"""The command gets `reading`, a `geo2map.scene.ReadingOptions`."""
