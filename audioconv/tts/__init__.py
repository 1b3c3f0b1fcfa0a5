"""Text to speech: voices for synthetic data sets and for training."""
