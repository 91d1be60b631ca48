"""Software-defined assets, one stage a file, in the order the data flows."""
