"""What every room may use: records, text for HTML, sizes in words, pydicom kept quiet."""
