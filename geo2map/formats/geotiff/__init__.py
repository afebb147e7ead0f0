"""Cloud-optimized GeoTIFF on the tile grid or another grid: written, read, and described by sidecars."""
