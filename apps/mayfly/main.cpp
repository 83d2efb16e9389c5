#include "cli/cli.h"

int main(int argc, char** argv) { return mayfly::cli::run_cli(argc, argv); }
