"""Random changes to films in training, as named presets."""
