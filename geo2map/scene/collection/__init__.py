"""Many scenes as one."""

from geo2map.scene.collection.index import IndexedCollection, SheetIndex
from geo2map.scene.collection.stack import CollectionSource, SceneCollection

__all__ = ["CollectionSource", "IndexedCollection", "SceneCollection", "SheetIndex"]
