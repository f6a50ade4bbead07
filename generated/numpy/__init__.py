"""The layers' modules for numpy, written by `symbackprop generate`; do not edit."""
