#include "core/caches.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__unix__)
#include <unistd.h>
#endif

namespace fastnn {

namespace {

#if defined(__APPLE__)
i64 reported(const char* name) {
  i64 value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}
#endif

Caches found() {
  Caches sizes = {};
#if defined(__APPLE__)  // the fast cores; several share a second-level cache
  const i64 sharing = reported("hw.perflevel0.cpusperl2");
  sizes.l1 = reported("hw.perflevel0.l1dcachesize");
  sizes.l2 = reported("hw.perflevel0.l2cachesize") / (sharing > 0 ? sharing : 1);
#elif defined(_SC_LEVEL1_DCACHE_SIZE)
  sizes.l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE);
  sizes.l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  // Many ARM systems and some virtual machines report 0.
  if (sizes.l1 < 8 << 10) sizes.l1 = 32 << 10;
  if (sizes.l2 < 64 << 10) sizes.l2 = 512 << 10;
  return sizes;
}

Caches& current() {
  static Caches sizes = found();
  return sizes;
}

}  // namespace

const Caches& caches() { return current(); }
void set_caches(const Caches& sizes) { current() = sizes; }

}  // namespace fastnn
