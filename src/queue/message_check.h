#pragma once

#include "queue/queue.h"

namespace mayfly::queue {

/// What a message must be like to be taken by the queue. Errors: `queue.invalid`, `queue.too_large`, `queue.invalid_attribute`,
/// `queue.missing_group`, `queue.missing_deduplication_id`.
Result<void> check_message(const QueueSpec& spec, const SendRequest& request);
/// Error: `queue.invalid`.
Result<void> check_receive(const ReceiveRequest& request, std::size_t messages_max, Millis wait_max);

}  // namespace mayfly::queue
