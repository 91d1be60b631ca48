"""Pictures and tables of measurements, for metadata and reports. Measures nothing."""
