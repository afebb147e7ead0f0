"""Scenes: georeferenced rasters as sources of pixels on the global grid."""

from geo2map.colour.rendition import Rendition
from geo2map.scene.collection.sheets import SceneCollection
from geo2map.scene.discover import find_scenes
from geo2map.scene.imagery import Imagery, open_scenes
from geo2map.scene.options import SceneOptions
from geo2map.scene.reader import Scene, open_scene
from geo2map.scene.source import SceneSource
from geo2map.scene.tile_folder import TileSource

__all__ = [
    "Imagery",
    "Rendition",
    "Scene",
    "SceneCollection",
    "SceneOptions",
    "SceneSource",
    "TileSource",
    "find_scenes",
    "open_scene",
    "open_scenes",
]
