"""A migration as mathematics: transform, totality, relation, inverse, and the functions that run a stream through them."""
