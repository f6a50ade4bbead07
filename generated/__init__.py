"""The layers' modules, a folder for each backend, written by `symbackprop generate`; do not edit."""
