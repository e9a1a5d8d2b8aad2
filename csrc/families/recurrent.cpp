#include "families/recurrent.h"

#include "core/table.h"
#include "families/gru.h"
#include "families/lstm.h"

namespace {

static_assert(sizeof(RnnForward<float>) == 8 * (slots(RnnForward<float>::fields) + 1), "the fields, then packed weights");
static_assert(sizeof(LstmForward<float>) == 8 * (slots(LstmForward<float>::fields) + 2), "the fields, then packed weights");
static_assert(sizeof(GruForward<float>) == 8 * (slots(GruForward<float>::fields) + 1), "the fields, then packed weights");

constexpr Kernel kKernels[] = {
    {"rnn_forward", RnnForward<float>::fields, FASTNN_T(rnn_forward), plan_scratch<RnnForwardPlan>, rnn_forward_work,
     rnn_forward_pack, "u"},
    {"rnn_backward", fields<RnnBackward<float>>(), FASTNN_T(rnn_backward), plan_scratch<RnnBackwardPlan>, rnn_backward_work},
    {"lstm_forward", LstmForward<float>::fields, FASTNN_T(lstm_forward), plan_scratch<LstmForwardPlan>, lstm_forward_work,
     lstm_forward_pack, "u projection"},
    {"lstm_backward", fields<LstmBackward<float>>(), FASTNN_T(lstm_backward), plan_scratch<LstmBackwardPlan>, lstm_backward_work},
    {"gru_forward", GruForward<float>::fields, FASTNN_T(gru_forward), plan_scratch<GruForwardPlan>, gru_forward_work,
     gru_forward_pack, "u"},
    {"gru_backward", fields<GruBackward<float>>(), FASTNN_T(gru_backward), plan_scratch<GruBackwardPlan>, gru_backward_work},
};

}  // namespace

FASTNN_EXPORT(recurrent)
