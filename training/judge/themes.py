"""What must be seen of a composed scene: least shares of the picture in its main parts' colours."""

PARTS: dict[str, dict[str, float]] = {
    "house": {"wall": 0.03, "roof": 0.012},
    "boat": {"sail": 0.007, "hull": 0.012},
    "night": {"moon": 0.02},
    "trees": {"crown": 0.02},
    "mountains": {"mountain": 0.05},
    "face": {"face": 0.15},
    "flower": {"petals": 0.025, "middle": 0.007},
    "car": {"body": 0.025},
    "balloon": {"balloon": 0.05},
    "snowman": {"hat": 0.01, "snow": 0.05},
    "fish": {"fish": 0.04},
}
"""Theme -> part -> least share."""

BELOW = {
    "house": "meadow",
    "boat": "sea",
    "night": "ground",
    "trees": "hill",
    "mountains": "ground",
    "car": "road",
    "snowman": "snow",
}
"""Theme -> the part along the lower edge."""
