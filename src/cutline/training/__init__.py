"""Training a decoder by teacher forcing: objectives, schedules, trainer, checkpoints, history.

Importing the package is light; its modules load Keras.
"""
