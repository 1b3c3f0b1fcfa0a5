"""Front ends: spectrograms of clips and streams, and their normalisation."""
