// Whether convolutions may be computed by Winograd's algorithm (families/winograd.h).
#pragma once

namespace fastnn {

// kWinogradAlways: wherever it is possible, also where it is slower, for tests.
enum WinogradUse { kWinogradNever, kWinogradWhereFaster, kWinogradAlways };

// Returns the use that was chosen; kWinogradWhereFaster at first.
extern "C" int fastnn_winograd();
void use_winograd(int use);

}  // namespace fastnn
