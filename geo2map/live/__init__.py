"""Live: tiles that are made, or read, when somebody asks for them.

What makes tiles (`LiveMap`) knows nothing of HTTP; `geo2map.live.app` puts it on the web and needs the extra `serve`.
"""

from geo2map.live.layers import LIVE_LEVELS, LiveLayer, StoredLayer, TileLayer
from geo2map.live.livemap import LiveMap, LiveOptions
from geo2map.live.site import ServedSite

__all__ = ["LIVE_LEVELS", "LiveLayer", "LiveMap", "LiveOptions", "ServedSite", "StoredLayer", "TileLayer"]
