#pragma once

#include <string>
#include <vector>

#include "sandbox/jail/fault.h"
#include "sandbox/jail/plan.h"
#include "sandbox/jail/wire.h"

namespace mayfly::jail {

/// The read-only parts of every sandbox' root, made once in the jailer's own mount namespace and cloned for each.
class SystemRoot {
 public:
  /// Gives this process a mount namespace (as an ordinary user: a user namespace too). A fault: sandboxes have no mount namespace.
  MaybeFault build();
  bool ready() const { return root_.valid(); }
  /// Appends the system's folders to a plan and their detached mounts to `fds`. A zygote gets the host's /proc, too: the kernel lets its
  /// children mount their own only where a whole one is in sight.
  bool add_to(Plan& plan, std::vector<Fd>& fds) const;

  /// A detached copy of what is at `path`, without devices and set-uid programs; errno tells.
  static Fd clone(const std::string& path, bool writable);

 private:
  bool attach_somewhere();
  MaybeFault make_etc();
  MaybeFault make_dev();
  bool bind(const std::string& source, const std::string& name, std::uint64_t attributes);

  Fd root_;
  std::vector<std::string> folders_;
  std::vector<std::pair<std::string, std::string>> links_;
};

}  // namespace mayfly::jail
