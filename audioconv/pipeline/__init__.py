"""The way of an example: from files, samples or pixels to a network's input, and from its output to an answer."""
