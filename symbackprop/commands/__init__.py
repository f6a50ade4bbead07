"""The commands of the command line, a file for each group of them; none imports the package before it runs."""
