"""Object stores as a place for outputs: tiles sent as they are made, or finished outputs uploaded."""
