// How products of factors rounded to bfloat16 are computed by the avx512 kernels; other kernels always use kFloats.
#pragma once

namespace fastnn {

// kFloats: fused multiply-adds of float32 on the rounded factors. kPairs: AVX512_BF16. kTiles: AMX.
enum Bf16Engine { kFloats, kPairs, kTiles, kBf16Engines };

// Returns the engine that is in use; the first call chooses it (engine.cpp).
extern "C" int fastnn_bf16_engine();

}  // namespace fastnn
