"""What several runs say together: their mean, and how far single ones are from it."""
import math
import statistics

mean = statistics.mean


def spread(values):
    """The standard deviation of what the runs are a sample of; 0 for a single one."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else 0.0


def mean_and_spread(values, digits=0):
    values = list(values)
    return f"{mean(values):,.{digits}f} ± {spread(values):,.{digits}f}"


def error_of_difference(some, others):
    """The standard error of mean(@some) - mean(@others)."""
    return math.sqrt(sum(spread(values) ** 2 / len(values) for values in (some, others)))
