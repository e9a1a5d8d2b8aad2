#include "families/optim.h"

#include "core/table.h"
#include "families/optim_adaptive.h"
#include "families/optim_average.h"
#include "families/optim_rows.h"

namespace {

// A kernel with one dtype column that one worker runs, and a kernel over n elements with its cost.
#define SINGLE(name, Args) {#name, fields<Args>(), {name, nullptr, nullptr, nullptr}, nullptr, nullptr}
#define UPDATE(name, Args, four, eight) \
  {#name, fields<Args<float>>(), FASTNN_T(name), nullptr, update_work<Args<float>, four, eight>}

constexpr Kernel kKernels[] = {
    SINGLE(advance, Advance),
    SINGLE(every, Every),
    SINGLE(scheduled, Scheduled),
    SINGLE(nadam_product, NadamProduct),
    SINGLE(schedule_free_weight, ScheduleFreeWeight),
    {"sgd_step", fields<SgdStep<float>>(), FASTNN_T(sgd_step), nullptr, sgd_step_work},
    {"adam_step", fields<AdamStep<float>>(), FASTNN_T(adam_step), nullptr, adam_step_work},
    {"adam_rows_step", fields<AdamRowsStep<float>>(), FASTNN_T(adam_rows_step), nullptr, adam_rows_step_work},
    {"sparse_adam_step", fields<SparseAdamStep<float>>(), FASTNN_T(sparse_adam_step), nullptr, sparse_adam_step_work},
    UPDATE(amsgrad_step, AmsgradStep, 25, 60),
    UPDATE(radam_step, AdamStep, 20, 50),
    UPDATE(adamax_step, AdamaxStep, 20, 50),
    UPDATE(nadam_step, NadamStep, 20, 50),
    UPDATE(rmsprop_step, RmspropStep, 20, 50),
    UPDATE(adagrad_step, AdagradStep, 20, 50),
    UPDATE(adadelta_step, AdadeltaStep, 30, 80),
    UPDATE(lion_step, LionStep, 15, 30),
    UPDATE(schedule_free_step, ScheduleFreeStep, 20, 50),
    UPDATE(muon_momentum, MuonMomentum, 15, 30),
    UPDATE(muon_step, MuonStep, 10, 20),
    UPDATE(lerp, Lerp, 10, 20),
    UPDATE(ema_step, EmaStep, 10, 20),
    UPDATE(accumulate, Accumulate, 10, 20),
    {"sum_squares", fields<SumSquares<float>>(), FASTNN_T(sum_squares), sum_squares_scratch, sum_squares_work},
    {"clip_norm", fields<ClipNorm<float>>(), FASTNN_T(clip_norm), nullptr, clip_norm_work},
    UPDATE(unit_norm, UnitNorm, 15, 40),
    {"clip_value", fields<ClipValue<float>>(), FASTNN_T(clip_value), nullptr, clip_value_work},
};

}  // namespace

FASTNN_EXPORT(optim)
