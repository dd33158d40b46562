"""What makes the sample study and the example settings."""
