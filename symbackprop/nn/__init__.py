"""Networks of generated layers: parameters, passes, updates, state. Nothing here knows how a gradient is computed."""
