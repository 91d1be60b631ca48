"""Raw assets, a partition a day, and the sensor that lands files as they arrive."""
