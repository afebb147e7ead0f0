"""Georeferenced pairs: a scene and its map, cut on one grid, to train on.

Layered: `layer` reads either side; `cut` cuts images one by one and has `registration` compare them; `split` divides by
neighbourhoods; `folder` and `report` are the output; `make` runs it all.
"""

from geo2map.pairs.make import make_pairs
from geo2map.pairs.options import PairsOptions
from geo2map.pairs.report import PairSet

__all__ = ["PairSet", "PairsOptions", "make_pairs"]
