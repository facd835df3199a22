"""From what people have to what the network eats: readers → identity → splits → features → batches.

``readers``, ``identity``, ``splits``, ``images``, ``features``, ``checks`` and ``sample`` are light;
``text_vectorization`` and ``batches`` import TensorFlow, which is why nothing is imported here.
"""
