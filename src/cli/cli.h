#pragma once

namespace mayfly::cli {

/// The whole program: reads the command line, does what it says, returns the exit code (terminal.h). Called once.
int run_cli(int argc, const char* const* argv);

}  // namespace mayfly::cli
