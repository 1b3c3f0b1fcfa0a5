"""Sound: reading recordings, front ends, augmentation, and clips as a data set to train on."""
