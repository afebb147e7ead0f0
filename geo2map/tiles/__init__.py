"""Stored tiles: encoding, folders, pyramids and metadata."""
