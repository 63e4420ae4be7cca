"""What runs the body: the CPU, an Edge TPU in a process of its own, or a stand-in for one. Readers see `seam.Body`."""
