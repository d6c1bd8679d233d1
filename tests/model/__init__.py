"""The protocol of the cutover as a small machine of which every reachable state is visited.

Nothing here imports the product: a design that is wrong is to be found before, and without, its implementation.

    rules        what the protocol checks; a mutant is the protocol without one of them
    world        what stands in the database, and what each process believes
    protocol     the steps: which worlds can follow a world
    invariants   what must hold in each world, over each step, and at last
    explorer     every reachable world, breadth first, with the shortest way to each broken invariant

What it shows holds for the bounds that `rules.Bounds` names and for the abstraction that `world` describes. It does not show
that the SQL does what a step here does in one go; the tests against real stores do that.
"""
