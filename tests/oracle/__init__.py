"""A second, slow and plain implementation of the semantics, written from the text of the format alone.

Nothing here imports the product, and nothing of the product may import this: the worth of an
oracle is that it can disagree. Each module follows one section of the description:

    values       truth, equality, numbers, paths, the canonical text
    digest       the digest of a history
    expression   what an expression means in an environment
    query        sources and pipelines
    replay       the fold of a stream, and constraints per tenant
    migration    transforming a history, the relation of two snapshots, the inverse

Bundles are the decoded documents and events are plain dictionaries; no class stands between the
text and the code. Clarity wins over speed wherever they differ.
"""
