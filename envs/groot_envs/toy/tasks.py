"""The toy tasks as plain data, read by both sides."""

FRAME = 64  # pixels, both sides of both cameras

# Coin tasks: the chance that an episode can succeed at all, whatever the policy does well.
COINS = {"Coin50": 0.5, "Coin90": 0.9}

# A coin episode that can succeed does so at a control step drawn uniformly from these, ends included.
FIRST_STEP, LAST_STEP = 60, 200

STEP_CAPS = {"Reach": 100, "Coin50": 720, "Coin90": 720}
