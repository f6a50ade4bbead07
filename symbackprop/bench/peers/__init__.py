"""Who takes part: our generated modules, the libraries where they are installed, and NumPy by hand.

Each module here has a function that makes of a `Task` a `Run` for each of its passes.
"""
