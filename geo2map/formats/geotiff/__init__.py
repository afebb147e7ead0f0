"""GeoTIFFs: cloud-optimised, on the tile grid or on another; written, read, and described beside the file."""
