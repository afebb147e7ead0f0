"""PMTiles 3 archives, written and read."""
