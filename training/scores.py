from training.scenes import Scene
def score(pictures, scenes): return {}
