"""What the data reveals: a library of pure functions, data frames in, results out. It knows no database and no bank."""
