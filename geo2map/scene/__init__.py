"""Scenes: georeferenced rasters as sources of pixels on the global grid."""

from geo2map.colour.transform import ColourTransform
from geo2map.scene.collection.stack import SceneCollection
from geo2map.scene.discover import find_scenes
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.imagery import Imagery, open_imagery, open_scenes
from geo2map.scene.options import ReadingOptions, SceneOptions
from geo2map.scene.reader import Scene, open_scene
from geo2map.scene.selection import Scenes, SceneSelection, select_scenes
from geo2map.scene.source import SceneSource
from geo2map.scene.tile_folder import TileFolder, TileSource
from geo2map.scene.view import View

__all__ = [
    "ColourTransform",
    "Imagery",
    "ReadingOptions",
    "Scene",
    "SceneCollection",
    "SceneIdentity",
    "SceneOptions",
    "SceneSelection",
    "SceneSource",
    "Scenes",
    "TileFolder",
    "TileSource",
    "View",
    "find_scenes",
    "open_imagery",
    "open_scene",
    "open_scenes",
    "select_scenes",
]
