"""How well a run reads the films it was not trained on."""
