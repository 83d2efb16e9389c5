#include "workspace/bytes/bytes_service.h"

#include "base/log.h"
#include "workspace/bytes/link_token.h"

namespace mayfly::workspace {
namespace {

constexpr std::size_t kStep = 500;

}  // namespace

std::unique_ptr<Bytes> make_bytes(BytesDependencies dependencies) { return std::make_unique<BytesService>(std::move(dependencies)); }

BytesService::BytesService(BytesDependencies deps)
    : deps_(std::move(deps)),
      spaces_(*deps_.spaces),
      files_(*deps_.files),
      blobs_(*spaces_.dependencies().blobs),
      clock_(*spaces_.dependencies().clock),
      random_(*spaces_.dependencies().random),
      tasks_(spaces_.dependencies().executor) {}
BytesService::~BytesService() = default;

std::string BytesService::make_id(std::string_view prefix) { return std::string(prefix) + make_ulid(clock_.now(), random_); }

Task<Result<void>> BytesService::open() {
  is_open_ = true;
  for (const std::string& workspace : spaces_.ids()) {
    const auto rows = spaces_.read();
    const std::string prefix = keys::prefix(partition_of(workspace), workspace, 'x');
    KeyRange range = KeyRange::prefix(prefix);
    for (bool more = true; more;) {
      auto found = co_await rows->scan(range, kStep);
      if (!found) co_return std::unexpected(found.error());
      more = found->size() == kStep;
      for (const auto& [key, value] : *found) {
        range.begin = key + '\0';
        auto record = parse_json(value);
        if (!record || !record->is_object()) continue;
        const std::string id = key.substr(prefix.size());
        if (is_under_way(import_from_record(id, record->get_object()).import)) queued_.emplace_back(workspace, id);
      }
    }
  }
  start_imports();
  arm_care();
  co_return Result<void>{};
}

Task<> BytesService::stop() {
  is_open_ = false;
  stopping_.cancel();
  timer_.reset();
  queued_.clear();
  for (const auto& [id, running] : std::map(running_)) running->cancel.cancel();
  co_await tasks_.join();
}

void BytesService::crash() {
  is_open_ = false;
  tasks_.abandon();
}

}  // namespace mayfly::workspace
