"""From a number to a statement somebody can act on: what a finding says, in words, with its evidence."""
