"""The public face: each job as one call."""

from geo2map.api.looking import DryRun, dry_run, middle_block, preview, preview_block
from geo2map.api.mosaic import mosaic_tiles
from geo2map.api.rendering import as_engine, make_job, render, render_each, tile, translate_tiles

__all__ = [
    "DryRun",
    "as_engine",
    "dry_run",
    "make_job",
    "middle_block",
    "mosaic_tiles",
    "preview",
    "preview_block",
    "render",
    "render_each",
    "tile",
    "translate_tiles",
]
