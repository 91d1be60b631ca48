"""Pictures and tables of measurements, for asset metadata and reports."""
