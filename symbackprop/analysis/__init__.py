"""What follows from a layer's equations alone: shapes, counts, receptive fields, the fold of batch norm, pictures."""
