"""Text of the pages: explains how contenders are timed and set up."""

TIMED = {
    "cpu": """
        Each contender runs in a process of its own, on one thread and on two, of which the better counts (`*`: one); fastnn
        always has two. They take turns in short blocks; the figures are medians over the rounds.
    """,
    "cuda": """
        Each contender runs in a process of its own on the same GPU. They take turns in short blocks; the figures are medians
        over the rounds, of one step. A block is timed by CUDA events before and after it, in the stream of the work, so that
        the time of the host counts wherever the GPU waits for it. JAX has no events: its blocks are timed by the host's clock
        until the last result is ready, and so is the training of the digits.
    """,
}
CHECKED = """
    Before a row is timed, each contender's result is checked against float64, computed by NumPy: losses after a few steps
    of training, outputs, gradients, and products, of which large ones by rows that are spread over all. How each peer is
    set up is in `benches/peers/`. Ratios within this page mean something; another machine, or a busy one, gives other
    figures.
"""
SECTIONS = {
    "Matrix products, float32": """
        GFLOP/s; GB/s for the product of one row. In brackets, the share of what as many cores can do at most.
    """,
    "Networks, float32": """
        Adam and cross-entropy in all training. `fit`, fastnn's and scikit-learn's, shuffles and gathers each batch within the
        time shown; the steps of the other peers get batches that are their own arrays already, in a fixed order. JAX scan is an
        epoch in one call. Inference takes a NumPy array and returns another with fastnn, ONNX Runtime and scikit-learn; NumPy,
        PyTorch, JAX and ONNX Runtime bound find the input in place and leave the output there. The LM head is a weight without
        bias and the mean cross-entropy, with the gradients of weight and input: nn.LinearCrossEntropyLoss under capture in
        fastnn, linear and cross_entropy in PyTorch, its linear_cross_entropy by 64 rows in PyTorch chunked, jitted
        value_and_grad in JAX.
    """,
    "Networks, products of bfloat16": """
        Mixed precision: weights, gradients and Adam stay float32. `compile(dtype=...)` in fastnn, `torch.autocast` around
        forward pass and loss in PyTorch; fastnn float32 is the same `fit` without it, in a process of its own.
    """,
    "Matrix products": """
        In brackets, TFLOP/s. fastnn's bfloat16 product takes float32 arrays, rounds them and returns float32; PyTorch and JAX
        take and return arrays of bfloat16. fastnn captured and PyTorch CUDA graph are graphs of 20 products, of which the time
        of one is shown.
    """,
    "Training steps": """
        Adam and cross-entropy. tf32 and bfloat16 are what the factors of products are rounded to, bfloat16 by autocast in
        PyTorch; weights, gradients and Adam stay float32. fastnn is `fit`: the whole call, which takes NumPy arrays, uploads
        them anew and shuffles and gathers each batch; all others find their batches on the device, in a fixed order. fastnn
        captured is the loop written by hand under `fastnn.capture`, PyTorch compiled is model and loss under `torch.compile` in
        the mode reduce-overhead, PyTorch CUDA graph the whole step in a graph, into which each batch is copied, JAX a jitted
        step with donated buffers, and JAX scan, for the smaller nets, a whole epoch in a call.
    """,
    "Inference": """
        float32. The input is on the device, and the output stays there. fastnn captured is a forward function under
        `fastnn.capture`, which copies the input in and the output out; PyTorch runs under `inference_mode`, its graph copies
        the input in.
    """,
    "A language model's last layer": """
        float32: a weight without bias, the mean cross-entropy, and the gradients of weight and input. fastnn has
        nn.LinearCrossEntropyLoss under `fastnn.capture`, PyTorch linear and cross_entropy, JAX a jitted value_and_grad.
    """,
    "Adam": """
        One buffer of float32. A parameter takes 28 bytes: weight, gradient and both moments are read, all but the gradient
        written. fastnn's kernel, PyTorch's fused Adam, and the formula jitted with donated buffers in JAX.
    """,
    "The digits": """
        From new weights to the trained model, a seed for each round; what is compiled anew or captured for a new model counts.
        fastnn is `fit` with NumPy arrays; PyTorch's data are on the device, where it shuffles them.
    """,
}
MEMORY = """
    Memory that the LM head needs for a while: by how much three calls, in a fresh process, raise the peak of the resident
    memory over what is there after a first one, the weight, the input and the gradients of both. PyTorch and JAX give the
    gradients back before each call, as zero_grad does, so that what they need next takes their place.
"""
COSTS = """
    Each in a process of its own. First results are those of 400-15-15-15-10, at batch 1 and batch 32, from importing the
    library to the result; NumPy, which all need, is imported with it.
"""
