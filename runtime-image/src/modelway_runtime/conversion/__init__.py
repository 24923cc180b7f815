"""From a model to the same model in another form, held to the original's answers."""
