"""What could be found on a sample bank by who knows its truth: the ceiling that the miners are held against."""
