"""What `scripts/release-check` checks before a version is published."""
