"""When things happen and in what order; the composition root. No business rule and no SQL belongs here."""

import warnings

# Of libraries of our libraries: nothing a user of mainbank could act on.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="sqlglotrs")
