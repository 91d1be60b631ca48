"""The only room that imports dagster: assets, checks, sensors, schedules, jobs. Thin."""
