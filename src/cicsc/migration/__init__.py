"""A migration as mathematics: transform, totality, relation, inverse, and what runs a stream through them."""
