"""The inverse of the standard normal distribution, the same bits on every machine.

NumPy's `log` and `exp` may differ in the last bit from processor to processor, so the logarithm here is made of
operations that IEEE 754 rounds exactly: + - * / and the square root.
"""

from __future__ import annotations

import numpy as np

# Coefficients of AS 241 (Wichura, Applied Statistics 37, 1988), routine PPND16, from the constant term upwards: for
# |p - 1/2| <= 0.425, for the near tail (r <= 5) and for the far tail.
_CENTER = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_NEAR = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip
_LN_2 = 0.6931471805599453


def normal_quantile(p: np.ndarray) -> np.ndarray:
    """The z with P(Z <= z) = p, for float64 p in (0, 1); its relative error is below 1e-15."""
    centered = p - 0.5
    r = 0.180625 - centered * centered
    z = centered * _ratio(_CENTER, np.maximum(r, 0.0))
    tail = r < 0.0
    root = np.sqrt(-_log(np.where(centered[tail] < 0.0, p[tail], 1.0 - p[tail])))
    size = np.where(root <= 5.0, _ratio(_NEAR, root - 1.6), _ratio(_FAR, root - 5.0))
    z[tail] = np.where(centered[tail] < 0.0, -size, size)
    return z


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    above, below = (_polynomial(part, x) for part in coefficients)
    return above / below


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def _log(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of positive numbers: x = m 2^e with m near 1, and log m = 2 artanh((m - 1) / (m + 1))."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa, exponent = np.where(small, 2.0 * mantissa, mantissa), np.where(small, exponent - 1, exponent)
    s = (mantissa - 1.0) / (mantissa + 1.0)  # |s| < 0.172, so the eleventh term is below 1e-17
    return exponent * _LN_2 + 2.0 * s * _polynomial(tuple(1.0 / (2 * k + 1) for k in range(12)), s * s)
