"""Golden queries, evaluations, and the checks of drift, recall and retrieval."""
