"""geo2map: turn satellite scenes into seamless, georeferenced maps.

The names below are imported when first used, so that `import geo2map` needs neither torch nor rasterio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geo2map.aoi import Aoi, make_aoi
    from geo2map.api import preview, render, render_each, tile, tile_set, translate_tiles
    from geo2map.engine import Engine, load_engine
    from geo2map.errors import Geo2MapError
    from geo2map.grid.block import Block, BlockImage
    from geo2map.model import ModelCard, ModelDescription, find_model, import_model, load_card, packaged_models
    from geo2map.outputs import open_sink
    from geo2map.outputs.raster import mosaic as mosaic_tiles
    from geo2map.pairs import PairSet, PairsOptions, make_pairs
    from geo2map.plan import Plan, PlanOptions, make_plan
    from geo2map.plan.describe import SceneDescription, describe
    from geo2map.render.pipeline import Report, run
    from geo2map.scene import Imagery, Scene, SceneOptions, open_scene, open_scenes
    from geo2map.testing.town import make_town
    from geo2map.types import Tile

__version__ = "0.1.0"

_HOMES = {
    "geo2map.api": ("mosaic_tiles", "preview", "render", "render_each", "tile", "tile_set", "translate_tiles"),
    "geo2map.aoi": ("Aoi", "make_aoi"),
    "geo2map.grid.block": ("Block", "BlockImage"),
    "geo2map.plan.describe": ("SceneDescription", "describe"),
    "geo2map.engine": ("Engine", "load_engine"),
    "geo2map.errors": ("Geo2MapError",),
    "geo2map.model": ("ModelCard", "ModelDescription", "find_model", "import_model", "load_card", "packaged_models"),
    "geo2map.pairs": ("PairSet", "PairsOptions", "make_pairs"),
    "geo2map.render.pipeline": ("Report", "run"),
    "geo2map.plan": ("Plan", "PlanOptions", "make_plan"),
    "geo2map.scene": ("Imagery", "Scene", "SceneOptions", "open_scene", "open_scenes"),
    "geo2map.outputs": ("open_sink",),
    "geo2map.testing.town": ("make_town",),
    "geo2map.types": ("Tile",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Aoi",
    "Block",
    "BlockImage",
    "Engine",
    "Geo2MapError",
    "Imagery",
    "ModelCard",
    "ModelDescription",
    "PairSet",
    "PairsOptions",
    "Plan",
    "PlanOptions",
    "Report",
    "Scene",
    "SceneDescription",
    "SceneOptions",
    "Tile",
    "describe",
    "find_model",
    "import_model",
    "load_card",
    "load_engine",
    "make_aoi",
    "make_pairs",
    "make_plan",
    "make_town",
    "mosaic_tiles",
    "open_scene",
    "open_scenes",
    "open_sink",
    "packaged_models",
    "preview",
    "render",
    "render_each",
    "run",
    "tile",
    "tile_set",
    "translate_tiles",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'geo2map' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
