#include "net/chunk_decoder.h"

#include <algorithm>

namespace mayfly::net {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::size_t kTrailersMax = 64;

bool is_token(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

bool is_text(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

}  // namespace

ChunkDecoder::Status ChunkDecoder::feed(std::string_view bytes, std::string& body, std::size_t& consumed) {
  consumed = 0;
  while (consumed < bytes.size()) {
    if (place_ == Place::Data) {
      const std::size_t count = std::min<std::uint64_t>(left_, bytes.size() - consumed);
      body.append(bytes.substr(consumed, count));
      consumed += count;
      left_ -= count;
      if (left_ == 0) place_ = Place::DataCr;
      continue;
    }
    const Status status = step(bytes[consumed++]);
    if (status != Status::NeedMore) return status;
  }
  return Status::NeedMore;
}

ChunkDecoder::Status ChunkDecoder::step(char c) {
  const auto go = [this](Place next) {
    place_ = next;
    return Status::NeedMore;
  };
  if (++overhead_bytes_ > overhead_bytes_max_) return Status::Malformed;
  const int digit = hex_value(c);
  switch (place_) {
    case Place::FirstDigit:
      overhead_bytes_ = 0;
      if (digit < 0) return Status::Malformed;
      left_ = static_cast<std::uint64_t>(digit);
      return go(Place::Digits);
    case Place::Digits:
      if (digit < 0) return size_done(c);
      if (left_ >> 56 != 0) return Status::Malformed;
      left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
      return Status::NeedMore;
    case Place::Space:
      if (c == ' ' || c == '\t') return Status::NeedMore;
      return c == ';' ? go(Place::Extension) : Status::Malformed;
    case Place::Extension:
      if (c == '\r') return go(Place::SizeLf);
      return is_text(c) ? Status::NeedMore : Status::Malformed;
    case Place::SizeLf:
      if (c != '\n') return Status::Malformed;
      if (left_ == 0) {
        overhead_bytes_ = 0;
        return go(Place::TrailerStart);
      }
      if (left_ > body_bytes_max_ - body_bytes_) return Status::TooLarge;
      body_bytes_ += left_;
      return go(Place::Data);
    case Place::DataCr: return c == '\r' ? go(Place::DataLf) : Status::Malformed;
    case Place::DataLf: return c == '\n' ? go(Place::FirstDigit) : Status::Malformed;
    case Place::TrailerStart:
      if (c == '\r') return go(Place::LastLf);
      if (!is_token(c)) return Status::Malformed;
      trailer_line_ = c;
      return go(Place::TrailerLine);
    case Place::TrailerLine:
      if (c == '\r') return go(Place::TrailerLf);
      trailer_line_ += c;
      return is_text(c) ? Status::NeedMore : Status::Malformed;
    case Place::TrailerLf: return c == '\n' && trailer_done() ? go(Place::TrailerStart) : Status::Malformed;
    case Place::LastLf:
      if (c != '\n') return Status::Malformed;
      place_ = Place::Done;
      return Status::Done;
    case Place::Data:
    case Place::Done: break;
  }
  return Status::Malformed;
}

bool ChunkDecoder::trailer_done() {
  const std::string_view line = trailer_line_;
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || trailers_.size() >= kTrailersMax) return false;
  const std::string_view name = line.substr(0, colon);
  if (!std::all_of(name.begin(), name.end(), is_token)) return false;
  const auto first = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
  const auto last = std::max(line.find_last_not_of(" \t") + 1, first);
  trailers_.add(std::string(name), std::string(line.substr(first, last - first)));
  return true;
}

ChunkDecoder::Status ChunkDecoder::size_done(char c) {
  if (c == '\r') {
    place_ = Place::SizeLf;
  } else if (c == ';') {
    place_ = Place::Extension;
  } else if (c == ' ' || c == '\t') {
    place_ = Place::Space;
  } else {
    return Status::Malformed;
  }
  return Status::NeedMore;
}

}  // namespace mayfly::net
