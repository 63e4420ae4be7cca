"""The conversion room: from a training run's folder to a bundle that the box accepts."""

import os

# TensorFlow reads these once, when it is first imported. Conversion is done on the CPU: no accelerator is looked
# for, and no oneDNN kernels, whose sums differ from machine to machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
