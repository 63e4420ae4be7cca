"""The contract between training, conversion and the box: what a bundle is and how a film is read with it."""
