// The thread team: a few workers that spin for a moment between jobs, then sleep.
#pragma once
#include "core/kernels.h"

namespace fastnn {

typedef void (*Job)(void* context, const Worker& me);

// Runs job on up to `workers` workers, the caller being number 0, with `scratch` bytes that they share. Workers that do not come
// within an eighth of the `work` (in nanoseconds) are left out; where the team is busy with another thread's job, or is asked
// from inside one, the caller does all of it alone. Results do not depend on the number.
void team_run(Job job, void* context, int workers, i64 scratch, double work);

// How many workers a job of so many nanoseconds is worth.
int team_workers(double work);

// The least work, in nanoseconds, for which another worker is started, or from which a plan's call is shared. Tests set it low,
// so that small calls run on many workers.
constexpr double kDefaultShare = 6000;
double team_share();
void team_set_share(double nanoseconds);

// The least time, in nanoseconds, that a caller waits for workers to come; one that is awake comes in a tenth of a microsecond.
// Tests set it high, so that all workers take part.
constexpr double kDefaultPatience = 3000;
double team_patience();
void team_set_patience(double nanoseconds);

int team_threads();
void team_set_threads(int n);
// Cores that this process may use: affinity and cgroup quota.
int available_cores();

// Memory for free(), from half a megabyte on in large pages where there are some: products with matrices on 4 KB pages are
// slower. Throws std::bad_alloc.
char* allocate(i64 bytes);

// Scratch of the calling thread, kept for its next use.
char* thread_scratch(i64 bytes);

}  // namespace fastnn
