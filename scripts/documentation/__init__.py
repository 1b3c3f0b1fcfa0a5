"""What the documentation site adds to its pages: hooks of MkDocs."""
