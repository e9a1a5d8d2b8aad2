// The kernels of one ISA, except the dense family (isa_dense.cpp): compiled once for each, from the same text.
#include "activation.h"
#include "data.h"
#include "elementwise.h"
#include "loss.h"
#include "metrics.h"
#include "optim.h"
#include "random.h"
#include "reduce.h"

namespace {
using fastnn::Kernel;

// The struct of a kernel's arguments has a slot of eight bytes for each field, three for an Activation.
constexpr int slots(const char* fields) {
  int n = 1;
  bool act = false;
  for (const char* c = fields; *c; c++) {
    n += *c == ' ';
    act |= c[0] == 'a' && c[1] == 'c' && c[2] == 't' && c[3] == ' ';
  }
  return act ? n + 2 : n;
}
template <class Args>
constexpr const char* fields() {
  static_assert(sizeof(Args) == 8 * slots(Args::fields), "the struct does not match its fields");
  return Args::fields;
}

// A column for each dtype: T float32 and float64, N also int64, A also bool; bits: A by the size of the elements.
#define FASTNN_T(name) {name<float>, name<double>, nullptr, nullptr}
#define FASTNN_N(name) {name<float>, name<double>, name<i64>, nullptr}
#define FASTNN_A(name) {name<float>, name<double>, name<i64>, name<u8>}
#define FASTNN_BITS(name) {name<u32>, name<u64>, name<u64>, name<u8>}

constexpr Kernel kKernels[] = {
    {"activation_forward", fields<ActivationForward<float>>(), FASTNN_T(activation_forward), nullptr, activation_forward_work},
    {"activation_backward", fields<ActivationBackward<float>>(), FASTNN_T(activation_backward), nullptr,
     activation_backward_work},
    {"softmax_forward", fields<RowsForward<float>>(), FASTNN_T(softmax_forward), nullptr, softmax_forward_work},
    {"softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(softmax_backward), nullptr, softmax_backward_work},
    {"log_softmax_forward", fields<RowsForward<float>>(), FASTNN_T(log_softmax_forward), nullptr, softmax_forward_work},
    {"log_softmax_backward", fields<RowsBackward<float>>(), FASTNN_T(log_softmax_backward), nullptr, log_softmax_backward_work},

    {"sparse_cross_entropy_forward", fields<SparseCrossEntropyForward<float>>(), FASTNN_T(sparse_cross_entropy_forward), nullptr,
     sparse_cross_entropy_forward_work},
    {"sparse_cross_entropy_backward", fields<SparseCrossEntropyBackward<float>>(), FASTNN_T(sparse_cross_entropy_backward),
     nullptr, sparse_cross_entropy_backward_work},
    {"cross_entropy_forward", fields<CrossEntropyForward<float>>(), FASTNN_T(cross_entropy_forward), nullptr,
     cross_entropy_forward_work},
    {"cross_entropy_backward", fields<CrossEntropyBackward<float>>(), FASTNN_T(cross_entropy_backward), nullptr,
     cross_entropy_backward_work},
    {"sigmoid_cross_entropy_forward", fields<SigmoidCrossEntropyForward<float>>(), FASTNN_T(sigmoid_cross_entropy_forward),
     nullptr, sigmoid_cross_entropy_forward_work},
    {"sigmoid_cross_entropy_backward", fields<SigmoidCrossEntropyBackward<float>>(), FASTNN_T(sigmoid_cross_entropy_backward),
     nullptr, sigmoid_cross_entropy_backward_work},
    {"mse_forward", fields<MseForward<float>>(), FASTNN_T(mse_forward), nullptr, mse_forward_work},
    {"mse_backward", fields<MseBackward<float>>(), FASTNN_T(mse_backward), nullptr, mse_backward_work},
    {"reduce_loss_forward", fields<ReduceLossForward<float>>(), FASTNN_T(reduce_loss_forward), reduce_loss_forward_scratch,
     reduce_loss_forward_work},
    {"reduce_loss_backward", fields<ReduceLossBackward<float>>(), FASTNN_T(reduce_loss_backward), nullptr,
     reduce_loss_backward_work},

    {"advance", fields<Advance>(), {advance, nullptr, nullptr, nullptr}, nullptr, nullptr},
    {"sgd_step", fields<SgdStep<float>>(), FASTNN_T(sgd_step), nullptr, sgd_step_work},
    {"adam_step", fields<AdamStep<float>>(), FASTNN_T(adam_step), nullptr, adam_step_work},
    {"sum_squares", fields<SumSquares<float>>(), FASTNN_T(sum_squares), sum_squares_scratch, sum_squares_work},
    {"clip_norm", fields<ClipNorm<float>>(), FASTNN_T(clip_norm), nullptr, clip_norm_work},
    {"clip_value", fields<ClipValue<float>>(), FASTNN_T(clip_value), nullptr, clip_value_work},

    {"dropout_forward", fields<DropoutForward<float>>(), FASTNN_T(dropout_forward), nullptr, dropout_forward_work},
    {"dropout_backward", fields<DropoutBackward<float>>(), FASTNN_T(dropout_backward), nullptr, dropout_backward_work},

    {"gather_batch", fields<GatherBatch<float>>(), FASTNN_A(gather_batch), nullptr, gather_batch_work},
    {"take_forward", fields<TakeForward<float>>(), FASTNN_A(take_forward), nullptr, take_forward_work},
    {"take_backward", fields<TakeBackward<float>>(), FASTNN_T(take_backward), nullptr, take_backward_work},
    {"gather_forward", fields<GatherForward<float>>(), FASTNN_A(gather_forward), nullptr, gather_forward_work},
    {"gather_backward", fields<GatherBackward<float>>(), FASTNN_T(gather_backward), nullptr, gather_backward_work},

    {"binary_forward", fields<Binary<float, float>>(), FASTNN_N(binary_forward), nullptr, binary_work},
    {"compare_forward", fields<Binary<u8, float>>(), FASTNN_N(compare_forward), nullptr, binary_work},
    {"where_forward", fields<WhereForward<float>>(), FASTNN_BITS(where_forward), nullptr, where_forward_work},
    {"strided_copy", fields<StridedCopy<float>>(), FASTNN_BITS(strided_copy), nullptr, strided_copy_work},
    {"fill", fields<Fill<float>>(), FASTNN_A(fill), nullptr, fill_work},
    {"cast", fields<Cast<float>>(), FASTNN_A(cast), nullptr, cast_work},
    {"reduce_forward", fields<ReduceForward<float>>(), FASTNN_N(reduce_forward), reduce_forward_scratch, reduce_forward_work},
    {"argmax_forward", fields<ArgmaxForward<float>>(), FASTNN_N(argmax_forward), nullptr, argmax_forward_work},

    {"mean_metric", fields<MeanMetric<float>>(), FASTNN_T(mean_metric), nullptr, nullptr},
    {"sparse_accuracy", fields<SparseAccuracy<float>>(), FASTNN_T(sparse_accuracy), sparse_accuracy_scratch,
     sparse_accuracy_work},
    {"categorical_accuracy", fields<CategoricalAccuracy<float>>(), FASTNN_T(categorical_accuracy), categorical_accuracy_scratch,
     categorical_accuracy_work},
    {"binary_accuracy", fields<BinaryAccuracy<float>>(), FASTNN_T(binary_accuracy), binary_accuracy_scratch,
     binary_accuracy_work},
    {"error_metric", fields<ErrorMetric<float>>(), FASTNN_T(error_metric), error_metric_scratch, error_metric_work},
};

}  // namespace

extern "C" const fastnn::KernelTable FASTNN_TABLE(rows);
const fastnn::KernelTable FASTNN_TABLE(rows) = {kKernels, sizeof(kKernels) / sizeof(*kKernels)};
