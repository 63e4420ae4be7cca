"""Films and their labels: metadata, splits, tasks, and the prepared set that training reads."""
