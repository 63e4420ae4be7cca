"""The box: takes films in, reads them with a bundle, and serves the results. Imports no torch, no tensorflow."""
