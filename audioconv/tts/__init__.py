"""Text to speech: voices that say words, for data sets and for training."""
