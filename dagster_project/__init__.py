"""When things happen and in what order; the composition root. No business rule and no SQL belongs here."""

import warnings

# Of a library of our libraries, at its import: nothing a user of mainbank could act on.
warnings.filterwarnings("ignore", message="sqlglotrs is deprecated")
