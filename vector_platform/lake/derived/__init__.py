"""What follows from the tables: contents and vectors, index rows, what counts on which day."""
