#include "families/elementwise.h"
#include "core/table.h"
#include "families/cast.h"
#include "families/copy.h"
#include "families/reduce.h"
#include "families/scan.h"
#include "families/sort.h"

namespace {

constexpr Kernel kKernels[] = {
    {"binary_forward", fields<Binary<float, float>>(), FASTNN_N(binary_forward), nullptr, binary_work},
    {"compare_forward", fields<Binary<u8, float>>(), FASTNN_N(compare_forward), nullptr, binary_work},
    {"where_forward", fields<WhereForward<float>>(), FASTNN_BITS(where_forward), nullptr, where_forward_work},
    {"strided_copy", fields<StridedCopy<float>>(), FASTNN_BITS(strided_copy), nullptr, strided_copy_work},
    {"fill", fields<Fill<float>>(), FASTNN_A(fill), nullptr, fill_work},
    {"cast",
     fields<Cast>(),
     {cast<Element<float>>, cast<Element<double>>, cast<Element<i64>>, cast<BoolElement>, cast<Element<u8>>, cast<Element<i32>>,
      cast<Bfloat16Element>},
     nullptr,
     cast_work},
    {"reduce_forward", fields<ReduceForward<float>>(), FASTNN_N(reduce_forward), reduce_forward_scratch, reduce_forward_work},
    {"argmax_forward", fields<ArgmaxForward<float>>(), FASTNN_N(argmax_forward), nullptr, argmax_forward_work},
    {"cumulate", fields<Cumulate<float>>(), FASTNN_N(cumulate), nullptr, cumulate_work},
    {"argsort", fields<Argsort<float>>(), FASTNN_N(argsort), argsort_scratch, argsort_work},
};

}  // namespace

FASTNN_EXPORT(elementwise)
