"""Assets and checks of embeddings, and the jobs and sensors that make and retire versions."""
