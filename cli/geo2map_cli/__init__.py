"""The command line of geo2map: parses, calls once, prints once."""
