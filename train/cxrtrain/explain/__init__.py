"""Where in a film a network sees a finding."""
