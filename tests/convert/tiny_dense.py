"""Parts of a DenseNet, small enough to be written node by node."""

import numpy as np


def dense_block(net, bound):
    """Add the stem, two layers of a dense block, its transition, another layer and the last norm."""

    def active(film):
        return net.relu6(film) if bound else net.add("Relu", film)

    film = active(net.conv("film", 8, 3, strides=[2, 2], pads=[0, 0, 1, 1]))
    film = pool(net, film, "MaxPool", 2)
    for _ in range(2):
        grown = net.conv(active(net.conv(active(norm(net, film)), 6)), 4, 3, pads=[1, 1, 1, 1])
        film = net.add("Concat", film, grown, axis=1, channels=net.channels[film] + 4)
    start = pool(net, net.conv(active(norm(net, film)), 8), "AveragePool", 2)
    grown = net.conv(active(net.conv(active(norm(net, start)), 6)), 4, 3, pads=[1, 1, 1, 1])
    film = net.add("Concat", start, grown, axis=1, channels=12)
    return active(norm(net, film))


def norm(net, film):
    """Add a batch norm with weights and statistics as if trained; its mean and bias are one array."""
    channels = net.channels[film]
    scale, variance = (net.constant(net.random.uniform(0.2, 2, channels).astype(np.float32)) for _ in range(2))
    shift = net.constant(net.random.normal(0, 0.5, channels).astype(np.float32))
    return net.add("BatchNormalization", film, scale, shift, shift, variance, epsilon=1e-3)


def pool(net, film, kind, side, pads=(0, 0, 0, 0), **attributes):
    return net.add(kind, film, kernel_shape=[side, side], strides=[2, 2], pads=list(pads), **attributes)
