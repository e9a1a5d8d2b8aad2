"""The kernels of a backend, written by scripts/kernels_page from fastnn/backends/spec."""

from typing import Any

from .spec import Activation, PointwiseLoss

Array = Any

class Kernels:
    def matmul_nn(self, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None: ...
    def matmul_nt(self, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None: ...
    def matmul_tn(self, c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None: ...
    def dense_forward(self, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None: ...
    def dense_backward(
        self,
        dx: Array,
        dw: Array,
        db: Array,
        dz: Array,
        dy: Array,
        x: Array,
        w: Array,
        y: Array,
        aux: Array,
        act: Activation,
        add: int,
        precision: int,
    ) -> None: ...
    def dense_nets_forward(self, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None: ...
    def dense_nets_backward(
        self,
        dx: Array,
        dw: Array,
        db: Array,
        dz: Array,
        dy: Array,
        x: Array,
        w: Array,
        y: Array,
        aux: Array,
        act: Activation,
        add: int,
        precision: int,
    ) -> None: ...
    def matmul_batched(self, c: Array, a: Array, b: Array, layout: Array, alpha: float, beta: float, precision: int) -> None: ...
    def conv_forward(
        self,
        y: Array,
        aux: Array,
        x: Array,
        w: Array,
        b: Array,
        geometry: Array,
        act: Activation,
        precision: int,
    ) -> None: ...
    def conv_backward(
        self,
        dx: Array,
        dw: Array,
        db: Array,
        dz: Array,
        dy: Array,
        x: Array,
        w: Array,
        y: Array,
        aux: Array,
        geometry: Array,
        act: Activation,
        add: int,
        precision: int,
    ) -> None: ...
    def max_pool_forward(self, y: Array, index: Array, x: Array, window: Array) -> None: ...
    def max_pool_backward(self, dx: Array, dy: Array, index: Array, window: Array) -> None: ...
    def avg_pool_forward(self, y: Array, x: Array, window: Array, border: int) -> None: ...
    def avg_pool_backward(self, dx: Array, dy: Array, window: Array, border: int) -> None: ...
    def norm_forward(
        self,
        y: Array,
        mean: Array,
        rstd: Array,
        running_mean: Array,
        running_var: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        epsilon: float,
        momentum: float,
        unbiased: int,
        center: int,
        relu: int,
    ) -> None: ...
    def norm_backward(
        self,
        dx: Array,
        dgamma: Array,
        dbeta: Array,
        dy: Array,
        x: Array,
        mean: Array,
        rstd: Array,
        gamma: Array,
        y: Array,
        center: int,
        relu: int,
        add: int,
    ) -> None: ...
    def norm_fold(
        self,
        scale: Array,
        shift: Array,
        mean: Array,
        var: Array,
        gamma: Array,
        beta: Array,
        bias: Array,
        epsilon: float,
    ) -> None: ...
    def norm_apply(self, y: Array, x: Array, scale: Array, shift: Array, act: Activation) -> None: ...
    def activation_forward(self, y: Array, x: Array, act: Activation) -> None: ...
    def activation_backward(self, dx: Array, dy: Array, x: Array, y: Array, act: Activation) -> None: ...
    def glu_forward(self, y: Array, x: Array, act: Activation) -> None: ...
    def glu_backward(self, dx: Array, dy: Array, x: Array, act: Activation) -> None: ...
    def prelu_forward(self, y: Array, x: Array, slope: Array) -> None: ...
    def prelu_backward(self, dx: Array, dslope: Array, dy: Array, x: Array, slope: Array, add: int) -> None: ...
    def softmax_forward(self, y: Array, x: Array) -> None: ...
    def softmax_backward(self, dx: Array, dy: Array, y: Array) -> None: ...
    def log_softmax_forward(self, y: Array, x: Array) -> None: ...
    def log_softmax_backward(self, dx: Array, dy: Array, y: Array) -> None: ...
    def sparsemax_forward(self, y: Array, x: Array) -> None: ...
    def sparsemax_backward(self, dx: Array, dy: Array, y: Array) -> None: ...
    def sparse_cross_entropy_forward(
        self,
        losses: Array,
        weights: Array,
        p: Array,
        logits: Array,
        labels: Array,
        sample_weight: Array,
        class_weight: Array,
        smoothing: float,
        ignore_index: int,
    ) -> None: ...
    def sparse_cross_entropy_backward(
        self,
        dlogits: Array,
        dlosses: Array,
        p: Array,
        labels: Array,
        sample_weight: Array,
        class_weight: Array,
        smoothing: float,
        ignore_index: int,
    ) -> None: ...
    def cross_entropy_forward(
        self,
        losses: Array,
        p: Array,
        logits: Array,
        targets: Array,
        sample_weight: Array,
        class_weight: Array,
        smoothing: float,
    ) -> None: ...
    def cross_entropy_backward(
        self,
        dlogits: Array,
        dlosses: Array,
        p: Array,
        targets: Array,
        sample_weight: Array,
        class_weight: Array,
        smoothing: float,
    ) -> None: ...
    def pointwise_loss_forward(
        self,
        losses: Array,
        pred: Array,
        target: Array,
        sample_weight: Array,
        column: Array,
        fn: PointwiseLoss,
    ) -> None: ...
    def pointwise_loss_backward(
        self,
        dpred: Array,
        dlosses: Array,
        pred: Array,
        target: Array,
        sample_weight: Array,
        column: Array,
        fn: PointwiseLoss,
    ) -> None: ...
    def gaussian_nll_forward(
        self,
        losses: Array,
        pred: Array,
        target: Array,
        sample_weight: Array,
        floor: float,
        log_variance: int,
    ) -> None: ...
    def gaussian_nll_backward(
        self,
        dpred: Array,
        dlosses: Array,
        pred: Array,
        target: Array,
        sample_weight: Array,
        floor: float,
        log_variance: int,
    ) -> None: ...
    def reduce_loss_forward(self, loss: Array, normaliser: Array, losses: Array, weights: Array, mode: int) -> None: ...
    def reduce_loss_backward(self, dlosses: Array, dloss: Array, normaliser: Array) -> None: ...
    def advance(self, step: Array, by: int) -> None: ...
    def every(self, flag: Array, count: Array, period: int) -> None: ...
    def scheduled(self, hyper: Array, table: Array, slot: Array, count: Array) -> None: ...
    def sgd_step(self, w: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def adam_step(self, w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def adam_rows_step(
        self,
        w: Array,
        m: Array,
        v: Array,
        seen: Array,
        dw: Array,
        touched: Array,
        hyper: Array,
        step: Array,
    ) -> None: ...
    def sparse_adam_step(self, w: Array, m: Array, v: Array, dw: Array, touched: Array, hyper: Array, step: Array) -> None: ...
    def amsgrad_step(self, w: Array, m: Array, v: Array, top: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def radam_step(self, w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def adamax_step(self, w: Array, m: Array, u: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def nadam_product(self, product: Array, hyper: Array, step: Array) -> None: ...
    def nadam_step(self, w: Array, m: Array, v: Array, dw: Array, hyper: Array, product: Array, step: Array) -> None: ...
    def rmsprop_step(self, w: Array, v: Array, mean: Array, b: Array, dw: Array, hyper: Array) -> None: ...
    def adagrad_step(self, w: Array, s: Array, dw: Array, hyper: Array, step: Array) -> None: ...
    def adadelta_step(self, w: Array, v: Array, u: Array, dw: Array, hyper: Array) -> None: ...
    def lion_step(self, w: Array, m: Array, dw: Array, hyper: Array) -> None: ...
    def schedule_free_weight(self, average: Array, hyper: Array, step: Array) -> None: ...
    def schedule_free_step(self, w: Array, z: Array, v: Array, dw: Array, hyper: Array, average: Array, step: Array) -> None: ...
    def muon_momentum(self, b: Array, u: Array, dw: Array, hyper: Array) -> None: ...
    def muon_step(self, w: Array, u: Array, hyper: Array, scale: float) -> None: ...
    def lerp(self, x: Array, y: Array, weight: Array) -> None: ...
    def ema_step(self, average: Array, w: Array, momentum: Array, step: Array) -> None: ...
    def accumulate(self, mean: Array, x: Array, share: Array) -> None: ...
    def sum_squares(self, total: Array, x: Array) -> None: ...
    def clip_norm(self, x: Array, total: Array, limit: Array) -> None: ...
    def unit_norm(self, x: Array, total: Array, eps: Array) -> None: ...
    def clip_value(self, x: Array, limit: Array) -> None: ...
    def dropout_forward(self, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None: ...
    def dropout_backward(self, dx: Array, dy: Array, aux: Array, rate: Array) -> None: ...
    def alpha_dropout_forward(self, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None: ...
    def alpha_dropout_backward(self, dx: Array, dy: Array, aux: Array, rate: Array) -> None: ...
    def gaussian_dropout_forward(self, y: Array, aux: Array, state: Array, x: Array, rate: Array) -> None: ...
    def gaussian_dropout_backward(self, dx: Array, dy: Array, aux: Array, rate: Array) -> None: ...
    def gaussian_noise_forward(self, y: Array, aux: Array, state: Array, x: Array, stddev: Array) -> None: ...
    def random_uniform(self, y: Array, aux: Array, state: Array) -> None: ...
    def random_normal(self, y: Array, aux: Array, state: Array) -> None: ...
    def random_integers(self, y: Array, aux: Array, state: Array, low: int, last: int) -> None: ...
    def penalty_forward(self, value: Array, x: Array, weights: Array) -> None: ...
    def penalty_backward(self, dx: Array, dvalue: Array, x: Array, weights: Array, add: int) -> None: ...
    def limit_norms(self, w: Array, limits: Array) -> None: ...
    def affine_transform_forward(
        self,
        y: Array,
        x: Array,
        matrix: Array,
        interpolation: int,
        fill_mode: int,
        fill_value: float,
    ) -> None: ...
    def affine_transform_backward(self, dx: Array, dy: Array, matrix: Array, interpolation: int, fill_mode: int) -> None: ...
    def gather_batch(self, y: Array, x: Array, index: Array, cursor: Array) -> None: ...
    def take_forward(self, y: Array, x: Array, index: Array) -> None: ...
    def take_backward(self, dx: Array, touched: Array, dy: Array, index: Array, add: int) -> None: ...
    def take_backward_marked(self, dx: Array, touched: Array, dy: Array, index: Array) -> None: ...
    def gather_forward(self, y: Array, x: Array, index: Array) -> None: ...
    def gather_backward(self, dx: Array, dy: Array, index: Array) -> None: ...
    def binary_forward(self, z: Array, x: Array, y: Array, layout: Array, op: int) -> None: ...
    def compare_forward(self, z: Array, x: Array, y: Array, layout: Array, op: int) -> None: ...
    def where_forward(self, z: Array, c: Array, x: Array, y: Array, layout: Array) -> None: ...
    def strided_copy(self, y: Array, x: Array, layout: Array) -> None: ...
    def fill(self, y: Array, value: float) -> None: ...
    def cast(self, y: Array, x: Array, to: int) -> None: ...
    def reduce_forward(self, y: Array, x: Array, op: int) -> None: ...
    def argmax_forward(self, index: Array, x: Array) -> None: ...
    def cumulate(self, y: Array, x: Array, op: int, reverse: int, exclusive: int) -> None: ...
    def argsort(self, index: Array, x: Array, descending: int) -> None: ...
    def sample_tokens(
        self,
        token: Array,
        w: Array,
        logits: Array,
        settings: Array,
        seed: Array,
        position: Array,
        previous: Array,
        count: Array,
    ) -> None: ...
    def mean_metric(self, total: Array, value: Array, count: float) -> None: ...
    def sparse_accuracy(self, total: Array, p: Array, labels: Array, sample_weight: Array) -> None: ...
    def categorical_accuracy(self, total: Array, p: Array, targets: Array, sample_weight: Array) -> None: ...
    def binary_accuracy(self, total: Array, p: Array, targets: Array, sample_weight: Array, threshold: float) -> None: ...
    def error_metric(self, total: Array, pred: Array, target: Array, sample_weight: Array, power: int) -> None: ...
    def mean_rows(self, total: Array, values: Array, sample_weight: Array) -> None: ...
    def top_k_accuracy(self, total: Array, p: Array, labels: Array, sample_weight: Array, k: int) -> None: ...
    def confusion_matrix(self, matrix: Array, p: Array, labels: Array, sample_weight: Array) -> None: ...
    def threshold_counts(self, counts: Array, p: Array, targets: Array, sample_weight: Array, thresholds: Array) -> None: ...
    def r2_metric(self, state: Array, pred: Array, target: Array, sample_weight: Array) -> None: ...
    def collect_scores(self, store: Array, count: Array, p: Array, targets: Array, sample_weight: Array) -> None: ...
    def resample(self, y: Array, x: Array, index: Array, weight: Array, value: float) -> None: ...
    def rnn_forward(
        self,
        y: Array,
        h: Array,
        before: Array,
        x: Array,
        u: Array,
        h0: Array,
        lengths: Array,
        mask: Array,
        act: Activation,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def rnn_backward(
        self,
        dx: Array,
        dh0: Array,
        dy: Array,
        dh: Array,
        y: Array,
        u: Array,
        lengths: Array,
        mask: Array,
        act: Activation,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def lstm_forward(
        self,
        y: Array,
        h: Array,
        c: Array,
        gates: Array,
        cells: Array,
        hidden: Array,
        before: Array,
        x: Array,
        u: Array,
        projection: Array,
        h0: Array,
        c0: Array,
        lengths: Array,
        mask: Array,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def lstm_backward(
        self,
        dx: Array,
        dz: Array,
        dh0: Array,
        dc0: Array,
        dy: Array,
        dh: Array,
        dc: Array,
        gates: Array,
        cells: Array,
        u: Array,
        projection: Array,
        c0: Array,
        lengths: Array,
        mask: Array,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def gru_forward(
        self,
        y: Array,
        h: Array,
        gates: Array,
        inner: Array,
        before: Array,
        x: Array,
        u: Array,
        bu: Array,
        h0: Array,
        lengths: Array,
        mask: Array,
        reset_after: int,
        order: int,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def gru_backward(
        self,
        dx: Array,
        dv: Array,
        dh0: Array,
        dy: Array,
        dh: Array,
        gates: Array,
        inner: Array,
        y: Array,
        u: Array,
        h0: Array,
        lengths: Array,
        mask: Array,
        reset_after: int,
        order: int,
        batch_first: int,
        reverse: int,
    ) -> None: ...
    def attention_forward(
        self,
        y: Array,
        lse: Array,
        aux: Array,
        state: Array,
        q: Array,
        k: Array,
        v: Array,
        bias: Array,
        mask: Array,
        lengths: Array,
        starts: Array,
        slopes: Array,
        rate: Array,
        places: Array,
        groups: int,
        keys: int,
        depth: int,
        width: int,
        first: int,
        window: int,
        causal: int,
        scale: float,
    ) -> None: ...
    def attention_backward(
        self,
        dq: Array,
        dk: Array,
        dv: Array,
        dy: Array,
        q: Array,
        k: Array,
        v: Array,
        bias: Array,
        mask: Array,
        lengths: Array,
        starts: Array,
        slopes: Array,
        rate: Array,
        places: Array,
        y: Array,
        lse: Array,
        aux: Array,
        groups: int,
        keys: int,
        depth: int,
        width: int,
        first: int,
        window: int,
        causal: int,
        scale: float,
    ) -> None: ...
    def rotary(self, y: Array, x: Array, table: Array, positions: Array, heads: int, halves: int, inverse: int) -> None: ...
    def ctc_loss(
        self,
        loss: Array,
        alpha: Array,
        dx: Array,
        x: Array,
        targets: Array,
        steps: Array,
        labels: Array,
        blank: int,
    ) -> None: ...
