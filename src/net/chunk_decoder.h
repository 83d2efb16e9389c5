#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

namespace mayfly::net {

/// The chunked coding (RFC 9112 §7.1), byte by byte and strict: CRLF only, extensions are checked and dropped.
class ChunkDecoder {
 public:
  enum class Status { NeedMore, Done, Malformed, TooLarge };

  /// `overhead_bytes_max` bounds one chunk line and the whole trailer.
  ChunkDecoder(std::size_t body_bytes_max, std::size_t overhead_bytes_max)
      : body_bytes_max_(body_bytes_max), overhead_bytes_max_(overhead_bytes_max) {}

  /// Appends to `body`; `consumed` is what belongs to this body. Not to be called after anything but NeedMore.
  Status feed(std::string_view bytes, std::string& body, std::size_t& consumed);
  /// The trailer fields so far (RFC 9112 §7.1.2); never to be merged into the header.
  Headers& trailers() { return trailers_; }

 private:
  enum class Place {
    FirstDigit,
    Digits,
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerLine,
    TrailerLf,
    LastLf,
    Done
  };

  Status step(char c);
  Status size_done(char c);
  bool trailer_done();

  std::size_t body_bytes_max_;
  std::size_t overhead_bytes_max_;
  Place place_ = Place::FirstDigit;
  std::uint64_t left_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t overhead_bytes_ = 0;
  std::string trailer_line_;
  Headers trailers_;
};

}  // namespace mayfly::net
