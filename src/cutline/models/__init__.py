"""The networks: encoders that look at the image, decoders that write the caption.

Importing this package costs nothing; the modules in it that build networks import Keras.
"""
