#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace mayfly::faces {

/// Turns what an agent's steps say into one growing text for a reader from whom nothing can be taken back. Texts of different steps
/// are set apart by an empty line. A step that begins anew continues silently as long as it repeats itself; when it says something
/// else, that follows after an empty line.
class SpokenText {
 public:
  /// What is to be sent now; may be empty.
  std::string take(const engine::Delta& delta);
  /// What is missing of the run's answer.
  std::string finish(std::string_view answer);
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    std::int64_t operation = 0;
    std::int64_t attempt = 0;
    std::string text;  ///< of this attempt
    std::string sent;  ///< of the step, since the reader last saw it diverge
  };
  Step& step(std::int64_t operation);
  static bool advance(Step& step, const engine::Delta& delta);

  std::vector<Step> steps_;
};

}  // namespace mayfly::faces
