"""The layers' modules for numba, written by `symbackprop generate`; do not edit."""
