"""Object stores as output locations: tiles streamed while rendering, or finished outputs uploaded."""
