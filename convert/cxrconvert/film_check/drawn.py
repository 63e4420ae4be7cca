"""Drawn pictures that are no film at all: noise, pages, charts, gradients, shapes."""

import string

import cv2
import numpy as np

SIZE = 256
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)


def noise(random: np.random.Generator) -> np.ndarray:
    """Return noise whose amplitude falls with the frequency to a power of 0 (white) to 2.5 (clouds)."""
    across = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE), np.fft.fftfreq(SIZE)))
    spectrum = np.fft.fft2(random.normal(size=(SIZE, SIZE))) / (across + 1 / SIZE) ** random.uniform(0, 2.5)
    return stretched(np.fft.ifft2(spectrum).real)


def text_page(random: np.random.Generator) -> np.ndarray:
    """Return a page of writing, dark on light or light on dark."""
    page = np.full((SIZE, SIZE), int(random.integers(200, 256)), np.uint8)
    scale, font = random.uniform(0.25, 1.0), int(random.choice(FONTS))
    step = int(30 * scale) + int(random.integers(2, 12))
    letters = np.array(list(string.ascii_letters + string.digits + "      .,"))
    for line in range(step, SIZE, step):
        words = "".join(random.choice(letters, int(random.integers(5, 60))))
        cv2.putText(page, words, (int(random.integers(2, 30)), line), font, scale, int(random.integers(0, 90)), 1)
    return 255 - page if random.random() < 0.3 else page


def chart(random: np.random.Generator) -> np.ndarray:
    """Return bars or curves between two axes."""
    page = np.full((SIZE, SIZE), 245, np.uint8)
    for place in range(40, SIZE, int(random.integers(20, 50))):
        cv2.line(page, (30, place), (SIZE - 10, place), 210, 1)
    count = int(random.integers(4, 16))
    heights = random.integers(10, SIZE - 50, count)
    if random.random() < 0.5:
        step = (SIZE - 50) // count
        for place, height in enumerate(heights):
            corner = (35 + place * step, SIZE - 30 - int(height))
            cv2.rectangle(page, corner, (corner[0] + step - 4, SIZE - 30), int(random.integers(0, 200)), -1)
    else:
        points = np.stack([np.linspace(35, SIZE - 15, count), SIZE - 30 - heights], axis=1).astype(np.int32)
        cv2.polylines(page, [points], False, 30, int(random.integers(1, 5)), cv2.LINE_AA)
    cv2.polylines(page, [np.array([(30, 10), (30, SIZE - 30), (SIZE - 10, SIZE - 30)])], False, 0, 2)
    return 255 - page if random.random() < 0.3 else page


def gradient(random: np.random.Generator) -> np.ndarray:
    """Return a smooth slope or a soft spot of light, with little noise."""
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    angle, (x, y) = random.uniform(0, 2 * np.pi), random.uniform(-0.7, 0.7, 2)
    slope = np.cos(angle) * across + np.sin(angle) * down
    spot = random.choice([-1, 1]) * np.exp(-((across - x) ** 2 + (down - y) ** 2) / random.uniform(0.05, 1))
    mixed = slope + spot if random.random() < 0.5 else (slope if random.random() < 0.5 else spot)
    return stretched(mixed + random.normal(0, random.uniform(0, 0.05), mixed.shape))


def shapes(random: np.random.Generator) -> np.ndarray:
    """Return ellipses, boxes and lines thrown over each other, sharp or soft."""
    page = np.full((SIZE, SIZE), int(random.integers(0, 256)), np.uint8)
    for _ in range(int(random.integers(3, 30))):
        one, other = (tuple(int(v) for v in random.integers(0, SIZE, 2)) for _ in range(2))
        grey, kind = int(random.integers(0, 256)), random.integers(0, 3)
        if kind == 0:
            axes = tuple(int(v) for v in random.integers(4, SIZE // 3, 2))
            cv2.ellipse(page, one, axes, float(random.uniform(0, 180)), 0, 360, grey, -1)
        elif kind == 1:
            cv2.rectangle(page, one, other, grey, -1)
        else:
            cv2.line(page, one, other, grey, int(random.integers(1, 12)))
    return cv2.GaussianBlur(page, (0, 0), random.uniform(0.3, 6))


def stretched(values: np.ndarray) -> np.ndarray:
    """Return numbers as grey levels, the lowest black and the highest white."""
    low, high = values.min(), values.max()
    return ((values - low) / (high - low) * 255).astype(np.uint8)
