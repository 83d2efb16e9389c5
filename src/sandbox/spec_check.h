#pragma once

#include "base/result.h"
#include "sandbox/jail/protocol.h"
#include "sandbox/sandbox.h"

namespace mayfly::sandbox {

/// Refuses what no jailer can do, with what to change: `sandbox.exec`.
Result<void> check(const SandboxSpec& spec);
Result<void> check(const ZygoteSpec& zygote);

jail::LaunchMessage to_message(const SandboxSpec& spec, std::uint64_t sequence);
jail::ZygoteMessage to_message(const ZygoteSpec& zygote, std::uint64_t sequence);

}  // namespace mayfly::sandbox
