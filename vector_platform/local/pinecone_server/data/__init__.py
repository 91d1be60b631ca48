"""What an index holds: on disk in SQLite, in memory for searching."""
