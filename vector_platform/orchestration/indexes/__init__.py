"""Index assets, the checks that compare them with the lake, ingest and repair jobs."""
