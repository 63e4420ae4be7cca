"""Decoding: from a file of unknown kind to a grey film, or a refusal that says why and what to do."""
