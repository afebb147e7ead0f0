"""`python -m geo2map_cli`: the command where no script is on the path."""

from geo2map_cli.main import main

main()
