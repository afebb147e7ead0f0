"""geo2map: turn satellite scenes into seamless, georeferenced maps.

The names below are imported when first used, so that `import geo2map` needs neither torch nor rasterio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geo2map.api import dry_run, make_job, mosaic_tiles, preview, render, render_each, repair, tile, update
    from geo2map.api.benching import bench
    from geo2map.api.converting import convert
    from geo2map.api.drawing import draw
    from geo2map.api.evaluating import evaluate_model
    from geo2map.api.serving import live_app, serve, view
    from geo2map.api.training import train_model
    from geo2map.checking import check
    from geo2map.demo import make_town
    from geo2map.engine import Engine, load_engine
    from geo2map.errors import Geo2MapError
    from geo2map.ledger import open_output
    from geo2map.model import ModelOptions
    from geo2map.pairs import make_pairs
    from geo2map.pipeline.report import Report
    from geo2map.pipeline.run import run
    from geo2map.plan import Job, Plan, PlanOptions, make_plan
    from geo2map.scene import open_scenes

__version__ = "0.1.0"

_HOMES = {
    "geo2map.api": (
        "dry_run",
        "make_job",
        "mosaic_tiles",
        "preview",
        "render",
        "render_each",
        "repair",
        "tile",
        "update",
    ),
    "geo2map.api.benching": ("bench",),
    "geo2map.api.converting": ("convert",),
    "geo2map.api.drawing": ("draw",),
    "geo2map.api.evaluating": ("evaluate_model",),
    "geo2map.api.serving": ("live_app", "serve", "view"),
    "geo2map.api.training": ("train_model",),
    "geo2map.engine": ("Engine", "load_engine"),
    "geo2map.errors": ("Geo2MapError",),
    "geo2map.model": ("ModelOptions",),
    "geo2map.ledger": ("open_output",),
    "geo2map.checking": ("check",),
    "geo2map.pairs": ("make_pairs",),
    "geo2map.plan": ("Job", "Plan", "PlanOptions", "make_plan"),
    "geo2map.pipeline.report": ("Report",),
    "geo2map.pipeline.run": ("run",),
    "geo2map.scene": ("open_scenes",),
    "geo2map.demo": ("make_town",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Engine",
    "Geo2MapError",
    "Job",
    "ModelOptions",
    "Plan",
    "PlanOptions",
    "Report",
    "bench",
    "check",
    "convert",
    "draw",
    "dry_run",
    "evaluate_model",
    "live_app",
    "load_engine",
    "make_job",
    "make_pairs",
    "make_plan",
    "make_town",
    "mosaic_tiles",
    "open_output",
    "open_scenes",
    "preview",
    "render",
    "render_each",
    "repair",
    "run",
    "serve",
    "tile",
    "train_model",
    "update",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'geo2map' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
