"""Training: from films and their labels to an exported network. torch lives here and nowhere else."""
