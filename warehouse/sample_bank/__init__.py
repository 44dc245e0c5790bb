"""Generated banks: data to run on where there is none. What the data mean belongs to mappings.

The sample bank is a synthetic bank in a Chinese commercial bank's shape, whose truth is known: one module per table,
over a core of keyed random numbers (`random_numbers`), people (`population`), their accounts (`state`) and what
happens in a month (`life`, `ledger`). `generate` writes it; `parameters`, `affinities`, `truth` and `futures` say what
was planted. `berka_shape` is a tiny bank of its own, in the shape of the Berka files.
"""
