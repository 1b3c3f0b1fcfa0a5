"""Files: atomic writes, locks, tensors with a header, parallel reading, figures."""
