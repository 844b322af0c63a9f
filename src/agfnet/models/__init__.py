"""The networks. Only `build` turns the name of a method into a class."""
