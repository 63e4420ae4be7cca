"""Training itself: losses, schedules, the loop, checkpoints, and searches for its settings."""
