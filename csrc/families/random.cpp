#include "families/random.h"
#include "core/table.h"

namespace {

constexpr Kernel kKernels[] = {
    {"dropout_forward", fields<DropoutForward<float>>(), FASTNN_T(dropout_forward), nullptr, dropout_forward_work},
    {"dropout_backward", fields<DropoutBackward<float>>(), FASTNN_T(dropout_backward), nullptr, dropout_backward_work},
    {"alpha_dropout_forward", fields<DropoutForward<float>>(), FASTNN_T(alpha_dropout_forward), nullptr, dropout_forward_work},
    {"alpha_dropout_backward", fields<DropoutBackward<float>>(), FASTNN_T(alpha_dropout_backward), nullptr,
     dropout_backward_work},
    {"gaussian_dropout_forward", fields<DropoutForward<float>>(), FASTNN_T(gaussian_dropout_forward), nullptr,
     gaussian_dropout_forward_work},
    {"gaussian_dropout_backward", fields<DropoutBackward<float>>(), FASTNN_T(gaussian_dropout_backward), nullptr,
     gaussian_dropout_backward_work},
    {"gaussian_noise_forward", fields<GaussianNoiseForward<float>>(), FASTNN_T(gaussian_noise_forward), nullptr,
     gaussian_noise_forward_work},
    {"random_uniform", fields<RandomNumbers<float>>(), FASTNN_T(random_uniform), nullptr, random_uniform_work},
    {"random_normal", fields<RandomNumbers<float>>(), FASTNN_T(random_normal), nullptr, random_normal_work},
    {"random_integers", fields<RandomIntegers>(), {random_integers}, nullptr, random_integers_work},
};

}  // namespace

FASTNN_EXPORT(random)
