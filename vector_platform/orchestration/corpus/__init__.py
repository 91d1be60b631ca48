"""From landed rows to chunks: dbt marts, chunking, contract checks, slice quarantine."""
