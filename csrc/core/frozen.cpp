#include "core/frozen.h"

#include <algorithm>
#include <memory>

#include "core/team.h"

namespace fastnn {

namespace {

unsigned forks = 1;

constexpr double kSurelyShared = 1e5;  // nanoseconds of work; shorter calls are shared only if a trial finds it faster

// Returns the index of the first extent that contains the address, or -1.
int place(u64 address, const std::vector<Frozen::Extent>& extents) {
  for (size_t i = 0; i < extents.size(); i++)
    if (address >= extents[i].begin && address < extents[i].end) return (int)i;
  return -1;
}

}  // namespace

Frozen::Frozen(std::vector<Call> calls, const std::vector<Extent>& ports, const std::vector<Extent>& intermediates,
               const std::vector<Extent>& weights, const std::vector<std::vector<bool>>& pack)
    : calls_(std::move(calls)) {
  std::vector<i64> offsets;
  for (const Extent& e : intermediates) {
    offsets.push_back(arena_bytes_);
    arena_bytes_ += ((i64)(e.end - e.begin) + 63) / 64 * 64;
  }
  for (int c = 0; c < (int)calls_.size(); c++) {
    Call& call = calls_[c];
    std::vector<bool> fixed = pack[c];  // weights that may be packed: they are the same in every run
    works_.push_back(call.work());
    work_ += works_.back();
    for (int s = 0; s < call.arrays; s++) {
      const int slot = call.array_slots[s];
      const u64 address = call.slots[slot];
      const int port = place(address, ports), between = port < 0 ? place(address, intermediates) : -1;
      if (port >= 0)
        port_patches_.push_back({c, slot, port, (i64)(address - ports[port].begin)});
      else if (between >= 0)
        arena_patches_.push_back({c, slot, -1, offsets[between] + (i64)(address - intermediates[between].begin)});
      else if (const int weight = place(address, weights); weight >= 0)
        weight_patches_.push_back({c, slot, weight, (i64)(address - weights[weight].begin)});
      for (int w = 0; w < call.weights; w++)
        if (slot == call.weight_slots[w] && (port >= 0 || between >= 0)) fixed[w] = false;
    }
    for (int w = 0; w < call.weights; w++)
      if (fixed[w]) packs_.push_back({c, w});
  }
  pack_weights();
}

Frozen::Frozen(const Frozen& from, char* const* weights)
    : calls_(from.calls_),
      packs_(from.packs_),
      arena_patches_(from.arena_patches_),
      port_patches_(from.port_patches_),
      weight_patches_(from.weight_patches_),
      arena_bytes_(from.arena_bytes_),
      works_(from.works_),
      work_(from.work_),
      trial_(from.trial_) {
  for (const Patch& p : weight_patches_) calls_[p.call].slots[p.slot] = (u64)(weights[p.place] + p.offset);
  pack_weights();
}

void Frozen::pack_weights() {
  for (const Pack& p : packs_) {
    Call& call = calls_[p.call];
    const i64 bytes = call.pack(p.weight, nullptr);
    if (!bytes) continue;
    char* memory = allocate(bytes);
    packed_.push_back(memory);
    call.pack(p.weight, memory);
    call.slots[call.packed_slot + p.weight] = (u64)memory;
  }
  scratch_ = 0;  // of calls with packed weights, which may need less
  for (const Call& call : calls_) scratch_ = std::max(scratch_, call.scratch(1));
}

Frozen::~Frozen() {
  for (char* memory : packed_) release(memory);
  while (pool_) {
    Instance* next = pool_->next;
    release(pool_->arena);
    delete pool_;
    pool_ = next;
  }
}

// After a fork, the child may find the pool locked by a thread of the parent, which does not exist in the child. So a lock counts
// only if it was taken by this process. The list is valid wherever that thread was; at most, the arena that it used is lost.
void Frozen::lock() {
  const unsigned me = forks;
  for (unsigned holder = 0; !locked_by_.compare_exchange_weak(holder, me, std::memory_order_acquire);)
    if (holder == me) holder = 0;
}

Frozen::Instance* Frozen::take() {
  lock();
  Instance* instance = pool_;
  if (instance) pool_ = instance->next;
  unlock();
  if (instance) return instance;
  std::unique_ptr<Instance> fresh(new Instance{calls_, nullptr, nullptr});
  fresh->arena = allocate(arena_bytes_ + scratch_ + 64);
  for (const Patch& p : arena_patches_) fresh->calls[p.call].slots[p.slot] = (u64)(fresh->arena + p.offset);
  return fresh.release();
}

void Frozen::give_back(Instance* instance) {
  lock();
  instance->next = pool_;
  pool_ = instance;
  unlock();
}

void Frozen::run(char* const* ports) {
  struct GivesBack {
    Frozen* frozen;
    void operator()(Instance* instance) const { frozen->give_back(instance); }
  };
  const std::unique_ptr<Instance, GivesBack> me(take(), {this});  // also gives back if a call throws std::bad_alloc
  for (const Patch& p : port_patches_) me->calls[p.call].slots[p.slot] = (u64)(ports[p.place] + p.offset);
  int workers = 1;
  for (size_t i = 0; work_ >= team_share() && i < works_.size(); i++) workers = std::max(workers, team_workers(works_[i]));
  if (workers == 1) return walk(*me, {0, 1, nullptr, nullptr});
  struct Run {
    const Frozen* frozen;
    const Instance* me;
    int workers;
  } job{this, me.get(), 1};
  auto share = [&](int workers) {
    i64 scratch = 0;
    for (size_t i = 0; i < works_.size() && workers > 1; i++)
      if (shared(i)) scratch = std::max(scratch, calls_[i].scratch(workers));
    team_run(
        [](void* c, const Worker& w) {
          Run& run = *(Run*)c;
          if (w.ith == 0) run.workers = w.nth;
          run.frozen->walk(*run.me, w);
        },
        &job, workers, scratch, work_);
    return job.workers;
  };
  if (team_waits_for_all() || work_ > kSurelyShared)
    share(workers);
  else
    trial_.call(workers, share);
}

bool Frozen::shared(size_t call) const { return works_[call] >= team_share(); }

// One job for all calls: the workers meet between two calls if at least one of them is shared.
void Frozen::walk(const Instance& instance, const Worker& me) const {
  const Worker alone{0, 1, nullptr, instance.arena + arena_bytes_};
  bool before = false;
  for (size_t i = 0; i < works_.size(); i++) {
    const bool now = me.nth > 1 && shared(i);
    if (i && (now || before)) fastnn_barrier_wait(me.barrier);
    before = now;
    if (now)
      instance.calls[i].run(me);
    else if (me.ith == 0)
      instance.calls[i].run(alone);
  }
}

unsigned Frozen::process() { return forks; }

void Frozen::count_forks() {
  after_fork_in_child([] { forks++; });
}

}  // namespace fastnn
