"""Writing and reading PMTiles 3 archives."""
