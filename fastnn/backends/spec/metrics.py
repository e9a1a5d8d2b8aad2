"""Running totals of metrics."""

from __future__ import annotations

KERNELS = """
    mean_metric           &total:f64[2] <- value:T[1] count:float
    sparse_accuracy       &total:f64[2] <- p:T[M,N] labels:i64[M] sample_weight:T[M]?
    categorical_accuracy  &total:f64[2] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]?
    binary_accuracy       &total:f64[2] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]? threshold:float
    error_metric          &total:f64[2] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]? power:1|2
    mean_rows             &total:f64[2] <- values:T[M] sample_weight:T[M]?
    top_k_accuracy        &total:f64[2] <- p:T[M,N] labels:i64[M] sample_weight:T[M]? k:int
    confusion_matrix      &matrix:f64[N,N] <- p:T[M,N] labels:i64[M] sample_weight:T[M]?
    threshold_counts      &counts:f64[H,N,4] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]? thresholds:f64[H]
    r2_metric             &state:f64[4,N] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]?
    collect_scores        &store:f64[3,P] &count:i64[1] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]?
"""
