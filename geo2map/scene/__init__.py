"""Scenes: georeferenced rasters as sources of pixels on the global grid."""

from geo2map.scene.reader import Scene, SceneSource, open_scene
from geo2map.scene.rendition import Rendition
from geo2map.scene.tile_source import TileSource

__all__ = ["Rendition", "Scene", "SceneSource", "TileSource", "open_scene"]
