"""History of a chain: an index of its blocks in SQLite, every row of it checked against verified headers."""
