"""Georeferenced pairs: a scene and its map, cut on one grid, to train on.

Layered: `layer` reads either side; `cut` reads picture by picture and lets `registration` compare; `split` divides by
neighbourhoods; `folder` and `report` are what comes out; `make` is the whole way.
"""

from geo2map.pairs.make import make_pairs
from geo2map.pairs.options import PairsOptions
from geo2map.pairs.report import PairSet

__all__ = ["PairSet", "PairsOptions", "make_pairs"]
