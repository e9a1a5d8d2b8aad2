// The four words of a counter by Philox 4x32-10 (Salmon et al., SC 2011).
__device__ inline void philox(u64 seed, u64 counter, u32 (&c)[4]) {
  u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
  c[0] = (u32)counter;
  c[1] = (u32)(counter >> 32);
  c[2] = c[3] = 0;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const u64 p0 = (u64)c[0] * 0xD2511F53u, p1 = (u64)c[2] * 0xCD9E8D57u;
    c[0] = (u32)(p1 >> 32) ^ c[1] ^ k0;
    c[1] = (u32)p1;
    c[2] = (u32)(p0 >> 32) ^ c[3] ^ k1;
    c[3] = (u32)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

constexpr int GROUP = 64;     // elements
constexpr int COUNTERS = 16;  // counters that a group takes

struct Stream {
  u64 seed, offset;
};

// Leaves the stream in aux and moves it on by so many words; it has been read by all blocks when the last one comes.
__device__ inline void move_on(u64* state, u64* aux, Stream stream, i64 words) {
  if (threadIdx.x || !last_to_arrive()) return;
  aux[0] = stream.seed;
  aux[1] = stream.offset;
  state[1] = stream.offset + (u64)((words + GROUP - 1) / GROUP * COUNTERS);
}
