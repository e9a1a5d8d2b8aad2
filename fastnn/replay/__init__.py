"""Recording of steps and forward passes, and their replay without Python; README.md explains it."""
