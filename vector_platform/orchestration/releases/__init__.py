"""The jobs and sensors by which release requests are asked for, decided, monitored, taken back."""
