"""The public face: each job as one call."""

from geo2map.api.batch import name_targets, render_each
from geo2map.api.jobs import make_job
from geo2map.api.looking import DryRun, dry_run, middle_block, preview, preview_block
from geo2map.api.models import as_engine, open_engine
from geo2map.api.mosaic import mosaic_tiles
from geo2map.api.rendering import render, tile, translate_tiles
from geo2map.api.repairing import repair
from geo2map.api.updating import update

__all__ = [
    "DryRun",
    "as_engine",
    "dry_run",
    "make_job",
    "middle_block",
    "mosaic_tiles",
    "name_targets",
    "open_engine",
    "preview",
    "preview_block",
    "render",
    "render_each",
    "repair",
    "tile",
    "translate_tiles",
    "update",
]
