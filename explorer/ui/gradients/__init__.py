"""The pages of the gradient laboratory: why signals vanish, explode, shatter or arrive."""
