"""Layers and losses: the names of `fastnn`, and PyTorch's."""

from ..lazy import lazily as _lazily

_NAMES = {
    ".": "init utils",
    ".activation": (
        "Activation CELU ELU GEGLU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Maxout "
        "Mish ReGLU ReLU ReLU6 SELU SiLU Sigmoid Sine Softmax Softmin Softplus Softshrink Softsign Sparsemax SwiGLU Tanh "
        "Tanhshrink Threshold"
    ),
    ".class_loss": "CrossEntropyLoss LinearCrossEntropyLoss MultiMarginLoss NLLLoss",
    ".container": "ModuleDict ModuleList",
    ".dense": "Dense Linear",
    ".element_loss": (
        "BCELoss BCEWithLogitsLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss MSELoss MultiLabelSoftMarginLoss "
        "PoissonNLLLoss SmoothL1Loss SoftMarginLoss"
    ),
    ".merge": "Add Average Concatenate Dot Maximum Minimum Multiply Residual Subtract",
    ".model": "Model",
    ".module": "Layer=Module Module",
    ".pair_loss": "CosineEmbeddingLoss GaussianNLLLoss MarginRankingLoss TripletMarginLoss",
    ".parameter": "Parameter",
    ".parameter_view": "ParameterView",
    ".prelu": "PReLU",
    ".random": "AlphaDropout Dropout GaussianDropout GaussianNoise",
    ".regularization": "ActivityRegularization",
    ".sequential": "Sequential",
    ".shape": "Flatten",
    ".spec": "InputSpec",
    ".symbolic": "Input Symbol",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
