"""Things read out of a map of classes: roads as a graph of centre lines, buildings, parks, water; and drawn again.

Pure: reads what a caller gives for windows of pixels, opens no file. Works core by core with a bounded halo, so that
what it finds depends neither on the cores nor on their order, and memory not on the map.
"""

from geo2map.features.areas import COVERAGE, Region
from geo2map.features.extract import CoreParts, Feature, cores, extract, extract_core, stitch
from geo2map.features.roads import WIDTHS, RoadLine
from geo2map.features.streets import UNITS
from geo2map.features.style import STYLES, Rgb, Rule, Style, find_style
from geo2map.features.table import (
    COVERAGE_LAYER,
    KINDS_OF_COLUMNS,
    FeatureLayer,
    attributes_of,
    feature_layers,
    geometries_of,
    layer_of,
    require_layer_names,
)
from geo2map.features.window import Box, ClassMap, Reading

__all__ = [
    "COVERAGE",
    "COVERAGE_LAYER",
    "KINDS_OF_COLUMNS",
    "STYLES",
    "UNITS",
    "WIDTHS",
    "Box",
    "ClassMap",
    "CoreParts",
    "Feature",
    "FeatureLayer",
    "Reading",
    "Region",
    "Rgb",
    "RoadLine",
    "Rule",
    "Style",
    "attributes_of",
    "cores",
    "extract",
    "extract_core",
    "feature_layers",
    "find_style",
    "geometries_of",
    "layer_of",
    "require_layer_names",
    "stitch",
]
