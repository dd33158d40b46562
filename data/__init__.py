"""The sample study and the example settings, and what makes them."""
