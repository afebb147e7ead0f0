"""Many scenes as one."""

from geo2map.scene.collection.sheets import CollectionSource, SceneCollection

__all__ = ["CollectionSource", "SceneCollection"]
