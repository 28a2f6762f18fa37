"""History of a chain: an index of its blocks in SQLite or PostgreSQL, every row checked against verified headers."""
