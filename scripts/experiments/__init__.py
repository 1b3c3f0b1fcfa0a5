"""What `scripts/results` measures: each module has the experiments of one kind."""
