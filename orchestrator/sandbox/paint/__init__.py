"""The sandbox's painter: pictures from a prompt, a seed and, if there is one, an input image."""
