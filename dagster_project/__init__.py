"""When things happen and in what order; the composition root. No business rule and no SQL belongs here."""
