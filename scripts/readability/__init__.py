"""What `scripts/prose` is made of: text out of files, sentences, rules and tables."""
