#include "families/dense_nets.h"

#include "core/table.h"

namespace {

static_assert(sizeof(MatmulArgs<float>) == 8 * 9, "c a b alpha beta precision M N K");
static_assert(sizeof(DenseForwardArgs<float>) == 8 * 14, "y aux x w b act(3) precision M N L K, packed");
static_assert(sizeof(DenseBackwardArgs<float>) == 8 * 18, "dx dw db dz dy x w y aux act(3) add precision M K N L");
static_assert(sizeof(DenseNetsForward) == 8 * 15, "y aux x w b act(3) precision G M N L S K");
static_assert(sizeof(DenseNetsBackward) == 8 * 20, "dx dw db dz dy x w y aux act(3) add precision G M K N S L");

constexpr Kernel kKernels[] = {
    {"matmul_nn",
     MatmulArgs<float>::fields,
     {matmul<float, false, false>, matmul<double, false, false>},
     matmul_scratch<false, false>,
     matmul_work},
    {"matmul_nt",
     MatmulArgs<float>::fields,
     {matmul<float, false, true>, matmul<double, false, true>},
     matmul_scratch<false, true>,
     matmul_work},
    {"matmul_tn",
     MatmulArgs<float>::fields,
     {matmul<float, true, false>, matmul<double, true, false>},
     matmul_scratch<true, false>,
     matmul_work},
    {"dense_forward",
     DenseForwardArgs<float>::fields,
     {dense_forward<float>, dense_forward<double>},
     dense_forward_scratch,
     dense_forward_work,
     dense_forward_pack,
     "w"},
    {"dense_backward",
     DenseBackwardArgs<float>::fields,
     {dense_backward<float>, dense_backward<double>},
     dense_backward_scratch,
     dense_backward_work},
    {"dense_nets_forward",
     DenseNetsForward::fields,
     {dense_nets_forward<float>, dense_nets_forward<double>},
     dense_nets_scratch<DenseNetsForward, kForwardOfNet<float>>,
     dense_nets_work<DenseNetsForward, kForwardOfNet<float>>},
    {"dense_nets_backward",
     DenseNetsBackward::fields,
     {dense_nets_backward<float>, dense_nets_backward<double>},
     dense_nets_scratch<DenseNetsBackward, kBackwardOfNet<float>>,
     dense_nets_work<DenseNetsBackward, kBackwardOfNet<float>>},
};

}  // namespace

FASTNN_EXPORT(dense)
