"""Assets of golden queries and evaluations, and the checks of drift, recall and retrieval."""
