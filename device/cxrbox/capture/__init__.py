"""The film finder and the capture gate: `photograph.read_photograph` takes the film out of a photograph."""
