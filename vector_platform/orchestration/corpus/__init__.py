"""From landed rows to chunks: dbt marts, chunking, contract checks, the jobs of quarantine."""
