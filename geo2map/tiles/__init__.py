"""Tiles at rest: encoding, folders, pyramids, and what a tile set says of itself."""
