"""The sample bank: a synthetic bank in a Chinese commercial bank's shape, with dirt-free tables and a known truth.

One module per table, over a core of keyed random numbers (`random_numbers`), people (`population`), their accounts
(`state`) and what happens in a month (`life`, `ledger`). What was planted is in `parameters`, `truth` and `futures`.
"""
