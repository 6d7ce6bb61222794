"""The data plane: the Node process that runs workerd, and its Python side."""
