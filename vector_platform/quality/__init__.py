"""Quality: retrieval evaluation, drift statistics, pictures. Measures; never decides or writes."""
