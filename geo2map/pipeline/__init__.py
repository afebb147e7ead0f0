"""From a plan to tiles: read, fill, translate, encode."""
