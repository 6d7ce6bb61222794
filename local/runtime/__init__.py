"""The data plane: the Node process that holds workerd, and its Python side."""
