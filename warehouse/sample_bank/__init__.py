"""Generated banks: data to run on where there is none. What the data mean belongs to mappings."""
