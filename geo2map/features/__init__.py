"""Things read out of a map of classes: roads as a graph of centre lines, buildings, parks, water; and drawn again.

Pure: reads what a caller gives for windows of pixels, opens no file. Works core by core with a bounded halo, so that
what it finds depends neither on the cores nor on their order, and memory not on the map.
"""

from geo2map.features.areas import Region
from geo2map.features.extract import CoreParts, cores, extract, extract_core, stitch
from geo2map.features.roads import RoadLine
from geo2map.features.style import STYLES, Rule, Style, find_style
from geo2map.features.window import Box, ClassMap, Reading

__all__ = [
    "STYLES",
    "Box",
    "ClassMap",
    "CoreParts",
    "Reading",
    "Region",
    "RoadLine",
    "Rule",
    "Style",
    "cores",
    "extract",
    "extract_core",
    "find_style",
    "stitch",
]
