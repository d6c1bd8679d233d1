"""The engine on Apache Spark: the same stream function, on the machines of a cluster.

    paths ──Spark's reader──> reading ──blocks──> shuffle by range of streams ──> folding ──rows──> one result

`session` gets a Spark, with `java` and `space` for one of our own, `inputs` names what is read, `reading` and
`folding` run on executors, and `history` drives them. Only the modules of this package import pyspark, and
only once the engine is asked for.
"""
