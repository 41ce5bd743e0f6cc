"""The three parts of the model as torch modules whose state dicts have the checkpoint's keys.

The arithmetic is that of the exported graphs and of the page; it is written here once more because training
needs batches, gradients and a compiler that sees plain torch.
"""
