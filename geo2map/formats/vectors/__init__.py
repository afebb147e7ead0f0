"""Vector files: features of a map as layers with attributes, written and read in GeoPackages, exported to others."""
