"""Your own assets, checks, jobs and components: a file or folder each, found by Dagster."""
