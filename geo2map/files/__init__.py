"""Files and addresses: where scenes are, and writing that leaves nothing half-written."""
