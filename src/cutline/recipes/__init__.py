"""Recipes: one verb each, the only place where rooms meet.

Importing the package is light; recipes that train or caption load TensorFlow when they are imported or run.
"""
