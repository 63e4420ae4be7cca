"""The film check of a bundle: fitted on films and on pictures that are none, measured on kinds it never saw."""
