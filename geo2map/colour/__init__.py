"""Colours: statistics of imagery, stretch and match, and the palettes of map styles."""

from geo2map.colour.palette import MAPS_PALETTE, Palette, load_palette
from geo2map.colour.statistics import ColourStatistics

__all__ = ["MAPS_PALETTE", "ColourStatistics", "Palette", "load_palette"]
