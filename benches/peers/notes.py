"""Texts of the performance pages: how contenders are timed, checked and set up."""

TIMED = {
    "cpu": """
        Each contender runs in a separate process. Where a row does not fix the number of threads, it runs on one thread and on
        two threads, and the better result counts; fastnn always uses two threads. The contenders take turns in short blocks,
        with a pause of 30 ms, in which the threads of the one before go to sleep. The figures are medians over the rounds.
    """,
    "cuda": """
        Each contender runs in a separate process on the same GPU. The contenders take turns in short blocks. The figures are
        the time of one step: medians over the rounds. CUDA events before and after a block, in the stream of the work, measure
        its time, so the figures include the time that the GPU waits for the host. JAX has no events: the host's clock measures
        its blocks, until the last result is ready. The host's clock also measures the training of the digits.
    """,
}
REPORT = """
    `python benches/bench_peers.py --write` measures all rows on the machine at hand, stores the figures in `benches/results/`,
    one file for each CPU, and writes this page from all files there. The files have the times of all contenders.

    A cell has the figure of fastnn, its speedup over the best peer with the name of that peer, and the outcome: whether the
    target is met, or by how much it is missed. Rows that were not measured on a CPU are empty. Compare ratios within a column:
    machines differ, and columns of different days may be of different versions.
"""
CHECKED = """
    Before a row is timed, its results are checked against float64, computed by NumPy: the losses after a few training steps,
    outputs, gradients and products. Of a large product, rows that are spread over the whole matrix are checked. `benches/peers/`
    shows how each library is set up. Compare ratios within a run; another machine, or a busy one, gives other figures.
"""
SECTIONS = {
    "Matrix products, float32": """
        The figures are GFLOP/s, and GB/s for the product of one row. In brackets: the share of the peak of the same number of
        cores.

        - NT and TN: the second or the first factor is stored transposed, as in the gradients of inputs and weights.
        - Misaligned: all three arrays start 16 bytes after a multiple of 64. JAX copies them into its own memory beforehand.
        - AVX2: fastnn, NumPy and PyTorch are limited to AVX2, the peak is that of AVX2. JAX does not take part: with
          --xla_cpu_max_isa=AVX2 its products still use AVX-512.
    """,
    "Networks, float32": """
        All training uses Adam and cross-entropy.

        - Training: the time of `fit` in fastnn and scikit-learn includes shuffling and gathering each batch. The steps of the
          other libraries get prepared batches in their own arrays, in a fixed order. JAX scan is an epoch in one call. A block
          takes at least 0.1 s, since a call of `fit` has work before its first epoch.
        - Inference: fastnn, ONNX Runtime and scikit-learn take a NumPy array and return another one. NumPy, PyTorch, JAX and
          ONNX Runtime bound read the input in place and leave the output in place.
        - LM head: a weight without bias and the mean cross-entropy, with the gradients of weight and input. fastnn uses
          nn.LinearCrossEntropyLoss under capture, PyTorch linear and cross_entropy, PyTorch chunked its linear_cross_entropy
          with 64 rows, JAX a jitted value_and_grad.
    """,
    "Convolutional networks, float32": """
        Training is `fit` with Adam, as above. fastnn uses Keras's layers with channels last; fastnn channels first is the same
        net of `nn.Conv2d`, `nn.ReLU` and `nn.MaxPool2d`. PyTorch has its own memory format, or channels last. The results are
        checked against NumPy with float64.

        - Convolutions of one layer with bias, called as layers: fastnn and PyTorch eager, JAX jitted. The way back has the
          gradients of image, filters and bias. A share of the peak counts all multiply-adds of the sum over the filter,
          whatever a library computes instead.
        - The MobileNet- and ResNet-18-shaped nets have batch norm after each convolution. fastnn and PyTorch use the same code
          with `nn.Conv2d`, `nn.BatchNorm2d` and `nn.ReLU`, channels first; JAX has its channels last. The check is of the whole
          net at its full size: the losses of two batches after a step on each, computed by the running averages. The time of
          fastnn is that of the epochs after the first of a call of `fit`, in which Python runs and records two steps.
    """,
    "Sequences, float32": """
        All training uses Adam, all nets the same weights. The LSTM has an embedding of 65 characters with 128 features, 256 units
        and a dense layer; it is `nn.LSTM` in fastnn and PyTorch, a scan in JAX with one product for the inputs of all steps, and
        the operator LSTM in ONNX Runtime. A GPT has norms first, the exact GELU and a head of its own; it is
        `fastnn.models.GPT`, a module with `scaled_dot_product_attention` in PyTorch, and `jax.nn.dot_product_attention` in JAX.

        - Training: the time of fastnn is that of the epochs after the first of a call of `fit`. The check is of the whole net at
          its full size: the losses of two batches after a step on each.
        - A stream: one token in, the logits of the next one out; the state stays with the model. PyTorch uses `nn.LSTMCell`,
          which is faster than `nn.LSTM` with one step; JAX donates the state. ONNX Runtime takes and returns the state as
          arrays, or has it bound.
        - Generation: the most likely tokens. PyTorch is eager with a cache of keys and values, of which it reads as many as there
          are; JAX does all tokens in one jitted call. The time of a token includes its share of reading the prompt. In brackets:
          the bytes of all weights but the embeddings in this time, as a share of the rate at which both threads read as much.
        - Attention alone is called as an operation: fastnn and PyTorch eager, JAX jitted.
        - Embedding: the loss is the sum of the squares of the embedded tokens. The batches have all tokens in random order and
          take turns; before the timing, each row has had a gradient, so Adam moves all of them. Sparse Adam, `optim.SparseAdam`,
          moves the rows of the batch. fastnn's step is captured.
    """,
    "Latency": """
        Each call of a model with one sample is timed by itself, 100,000 calls in blocks that take turns with those of the other
        contenders. The figures are the percentiles 50, 99 and 99.9 of these times, which include that of the clock. ONNX Runtime
        runs with and without bound inputs and outputs, on one thread and on two; at each percentile its best time counts.
    """,
    "Networks, products of bfloat16": """
        Mixed precision: weights, gradients and Adam are float32. fastnn uses `compile(dtype=...)`, PyTorch `torch.autocast`
        around forward pass and loss. fastnn float32 is the same `fit` without it, in a separate process.
    """,
    "Matrix products": """
        In brackets: TFLOP/s. The bfloat16 product of fastnn takes float32 arrays, rounds them and returns float32. PyTorch and
        JAX take and return arrays of bfloat16. fastnn captured and PyTorch CUDA graph are graphs of 20 products; the figure is
        the time of one product.
    """,
    "Training steps": """
        All training uses Adam and cross-entropy. In tf32 and bfloat16, the factors of products are rounded to that type
        (PyTorch: bfloat16 by autocast). Weights, gradients and Adam are float32.

        - fastnn: the whole call of `fit`. It takes NumPy arrays, uploads them in each call, and shuffles and gathers each
          batch. All other contenders read prepared batches on the device, in a fixed order.
        - fastnn captured: the loop written by hand under `fastnn.capture`.
        - PyTorch compiled: model and loss under `torch.compile` in the mode reduce-overhead.
        - PyTorch CUDA graph: the whole step in a graph. Each batch is copied into it.
        - JAX: a jitted step with donated buffers. JAX scan, for the smaller nets: a whole epoch in one call.
    """,
    "Inference": """
        float32. The input is on the device, and the output stays there. fastnn captured is a forward function under
        `fastnn.capture`, which copies the input in and the output out. PyTorch runs under `inference_mode`; its graph copies
        the input in.
    """,
    "A language model's last layer": """
        float32: a weight without bias, the mean cross-entropy, and the gradients of weight and input. fastnn uses
        nn.LinearCrossEntropyLoss under `fastnn.capture`, PyTorch linear and cross_entropy, JAX a jitted value_and_grad.
    """,
    "Adam": """
        One buffer of float32. An update moves 28 bytes for each parameter: it reads weight, gradient and both moments, and
        writes all of them except the gradient. fastnn uses its kernel, PyTorch its fused Adam, and JAX the jitted formula with
        donated buffers.
    """,
    "The digits": """
        The time from new weights to the trained model, with a new seed in each round. It includes what is compiled or captured
        again for a new model. fastnn uses `fit` with NumPy arrays. The data of PyTorch are on the device, and it shuffles them
        there.
    """,
}
MEMORY = {
    "sequences": """
        All memory of the training, measured as that of images.
    """,
    "rows": """
        Temporary memory of the LM head, measured in a new process: a first call leaves the weight, the input and the gradients of
        both in memory. The figure is the increase of the peak of resident memory in three more calls. PyTorch and JAX free the
        gradients before each call, as zero_grad does, so their next allocations can reuse that memory.
    """,
    "images": """
        All memory of the training, measured in a new process: the peak of resident memory after an epoch, less what is resident
        after the import. It includes the data, the weights and the state of Adam, and what a library compiles or loads later.
    """,
}
"""Texts about memory, by what is counted."""
COSTS = """
    Each library runs in a separate process. The first results are those of 400-15-15-15-10, at batch 1 and batch 32. The time is
    from the import of the library to the result; NumPy is already imported.
"""
