"""The default way of training: everything that is chosen between a data set and a model."""
