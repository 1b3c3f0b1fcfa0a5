"""Archives from strangers: tar and zip, read in one pass, without leaving their folder."""
