"""Relations: what entities are to one another, carried from a source to a target."""
