#pragma once

#include "sandbox/jail/fault.h"
#include "sandbox/jail/plan.h"

namespace mayfly::jail {

/// The best Landlock version of this kernel; 0: none.
int landlock_abi();
/// Gives up, for this process and its children: new privileges, files (Landlock), system calls, capabilities. In this order.
MaybeFault confine(const Plan& plan);
/// Limits of this process. Calls system calls alone: it may run in borrowed memory.
MaybeFault limit(const Plan& plan);

}  // namespace mayfly::jail
