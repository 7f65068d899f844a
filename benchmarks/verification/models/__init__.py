"""Small networks of every family, whose gradients are made wrong."""
