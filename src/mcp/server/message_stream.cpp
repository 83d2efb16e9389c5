#include "mcp/server/message_stream.h"

#include <algorithm>

namespace mayfly::mcp {

void MessageStream::push(std::string text) {
  if (finished_) return;
  bytes_ += text.size();
  items_.push_back({++newest_, std::move(text)});
  while (bytes_ > kBytesMax && items_.size() > 1) {
    bytes_ -= items_.front().text.size();
    items_.pop_front();
  }
  wake(tickets_, Wake::More);
}

void MessageStream::finish(int status) {
  if (finished_) return;
  finished_ = true;
  status_ = status;
  wake(tickets_, Wake::More);
}

void MessageStream::cut() { wake(tickets_, Wake::Cut); }

const MessageStream::Item* MessageStream::after(std::int64_t number) const {
  const auto found = std::ranges::upper_bound(items_, number, {}, &Item::number);
  return found == items_.end() ? nullptr : &*found;
}

void MessageStream::wake(std::int64_t ticket, Wake why) {
  if (!parked_ || parked_->ticket != ticket) return;
  auto resume = std::move(parked_->resume);
  parked_.reset();
  resume(why);
}

Task<MessageStream::Wake> MessageStream::wait_beyond(Clock* clock, std::int64_t number, Millis limit, CancelToken cancel) {
  wake(tickets_, Wake::Gone);
  if (newest_ > number || finished_) co_return Wake::More;
  if (cancel.cancelled()) co_return Wake::Gone;
  const std::int64_t ticket = ++tickets_;
  const auto timer = clock->call_after(limit, [this, ticket] { wake(ticket, Wake::TimedOut); });
  const auto registration = cancel.on_cancel([this, ticket] { wake(ticket, Wake::Gone); });
  co_return co_await suspend<Wake>([this, ticket](Resume<Wake> resume) { parked_ = Parked{ticket, std::move(resume)}; });
}

}  // namespace mayfly::mcp
