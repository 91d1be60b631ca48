"""From landed rows to documents and chunks: the dbt project, publishing its marts, chunking."""
