// The thread team: workers that spin for a short time between jobs, then sleep.
#pragma once
#include "core/kernels.h"

namespace fastnn {

typedef void (*Job)(void* context, const Worker& me);

// Runs a job on up to `workers` workers, with `scratch` bytes that they share. The caller is worker 0. Workers that do not
// respond within an eighth of `work` (in nanoseconds) do not take part. The caller does the whole job alone if the team works for
// another thread, or if the caller itself is inside a job. Results do not depend on the number of workers.
void team_run(Job job, void* context, int workers, i64 scratch, double work);

// Returns the number of workers that is best for this amount of work, in nanoseconds.
int team_workers(double work);

// The smallest work, in nanoseconds, for which another worker is used or a call of a plan is shared. Tests set a low value, so
// that small calls run on many workers.
constexpr double kDefaultShare = 6000;
double team_share();
void team_set_share(double nanoseconds);

// The shortest time, in nanoseconds, that a caller waits for workers to respond. A worker that is awake takes a tenth of a
// microsecond. Tests set a high value, so that all workers take part.
constexpr double kDefaultPatience = 3000;
double team_patience();
void team_set_patience(double nanoseconds);
// Returns whether the patience is so high that all workers take part in all jobs.
bool team_waits_for_all();

int team_threads();
void team_set_threads(int n);
// Returns the number of workers that one call may use: the threads of the team, divided by the number of callers.
int team_most();
// Adds to the number of callers at the same time, which is at least 1.
void team_add_callers(int n);
// Returns the number of cores that this process may use, by affinity and cgroup quota. On Macs, only performance cores count.
int available_cores();

// Allocates memory, which release() frees. From half a megabyte on, it uses large pages if the system has them: products are
// slower with matrices on 4 KB pages. Throws std::bad_alloc.
char* allocate(i64 bytes);
void release(char* memory);

// Calls f in the child of each later fork, on systems that have fork.
void after_fork_in_child(void (*f)());

// Returns the scratch of the calling thread. The memory is kept for the next call.
char* thread_scratch(i64 bytes);

}  // namespace fastnn
