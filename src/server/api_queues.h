#pragma once

#include <string>

#include "queue/queue.h"

namespace mayfly {

/// Depth, age and counters of every queue in the Prometheus text format, labelled with the queue's name.
std::string queue_metrics(const queue::QueueService& queues, TimePoint now);

}  // namespace mayfly
